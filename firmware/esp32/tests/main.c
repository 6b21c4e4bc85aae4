/* core_test [--records N] [PREFIX]: run the tests whose names begin with PREFIX, all of them without. */
#include "test.h"

unsigned test_records = 200;

uint64_t test_random(uint64_t *state) {
    *state ^= *state >> 12;
    *state ^= *state << 25;
    *state ^= *state >> 27;
    return *state * 0x2545f4914f6cdd1dull;
}

int main(int argc, char **argv) {
    static const test_case *const ALL[] = {TESTS_PLAIN,  TESTS_GOLDEN,    TESTS_SPOOL,  TESTS_JSON,   TESTS_MQTT,
                                           TESTS_UPLINK, TESTS_SCHEDULES, TESTS_DEVICE, TESTS_CODECS, TESTS_ERRORS,
                                           TESTS_OTA,    TESTS_PAIR,      TESTS_ORDERS, TESTS_IMPROV};
    const char *prefix = "";
    int ran = 0;
    for (int i = 1; i < argc; i++) {
        if (!strcmp(argv[i], "--records") && i + 1 < argc)
            test_records = (unsigned)strtoul(argv[++i], NULL, 10);
        else
            prefix = argv[i];
    }
    for (size_t f = 0; f < sizeof ALL / sizeof ALL[0]; f++)
        for (const test_case *t = ALL[f]; t->name; t++) {
            if (strncmp(t->name, prefix, strlen(prefix))) continue;
            printf("%s\n", t->name);
            fflush(stdout);
            t->run();
            ran++;
        }
    printf("%d passed\n", ran);
    return ran ? 0 : 1;
}
