/* Seeded schedules of faults; any seed gives the same again. */
#include "fake_house.h"

static memory_card spare;

/* Links dropped and half open, acknowledgements lost, repeated and late, the gateway away, writes that fail, the power
 * cut and the device booted anew: whatever the seed, everything that was committed arrives, once, and all drains. */
static void run_schedule(uint64_t schedule) {
    fresh(40);
    uint64_t chance = schedule * 0x9e3779b97f4a7c15ull + 99;
    lose_every = 2 + (unsigned)(schedule % 5);
    repeat_every = 3;
    connect_online();
    for (unsigned n = 0; n < 60; n++) {
        uint64_t dice = test_random(&chance);
        switch (dice % 12) {
        case 0:
            fake_drop(&broker);
            break;
        case 1:
            broker.deaf = !broker.deaf;
            break;
        case 2:
            say_state(false, false);
            break;
        case 3:
            broker.at_once = 1 + (size_t)(dice >> 8) % 200;
            break;
        case 4:
            card.fail_every = 3 + (unsigned)(dice >> 8) % 20;
            break;
        case 5: /* the power is cut */
            memory_card_cut(&card, &spare, &chance);
            memcpy(&card, &spare, sizeof card);
            card.card.self = &card;
            fake_drop(&broker);
            CHECK(boot_device(40));
            break;
        case 6: /* late and in another order */
            hold_back = !hold_back;
            while (withheld_count) acknowledge(&withheld[--withheld_count]);
            break;
        default:
            card.fail_every = 0;
            broker.deaf = false;
            say_state(true, !broker.open || dice % 3 == 0);
        }
        go((unsigned)(dice >> 20) % 200);
        if (broker.open && device.uplink.mqtt.state == HL_MQTT_UP && !device.uplink.heard_status)
            say_state(online != 0, true);
    }
    card.fail_every = 0;
    broker.deaf = false;
    broker.at_once = 100000;
    lose_every = hold_back = 0;
    hl_device_stop_taking(&device);
    for (unsigned n = 0; n < 500 && !hl_uplink_idle(&device.uplink); n++) {
        go(100);
        if (n % 10 == 0) say_state(true, false);
        now_us += 400000;
    }
    CHECK(hl_uplink_idle(&device.uplink));
    all_is_stored_once();
    CHECK(device.uplink.quarantined == 0);
}

static void any_schedule_of_faults_ends_with_everything_stored_once(void) {
    unsigned long records = 0, twice = 0;
    for (uint64_t schedule = 0; schedule < (test_records > 200 ? 300 : 60); schedule++) {
        run_schedule(schedule);
        records += committed_count;
        twice += again;
    }
    printf("  %lu records, %lu of them sent again\n", records, twice);
}

const test_case TESTS_SCHEDULES[] = {
    {"schedules: whatever goes wrong, everything is stored once",
     any_schedule_of_faults_ends_with_everything_stored_once},
    {NULL, NULL},
};
