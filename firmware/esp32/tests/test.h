/* A very small harness: behaviours are functions, run by name; a failed check says where and ends the program. */
#ifndef HL_TEST_H
#define HL_TEST_H

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CHECK(condition)                                                                                               \
    do {                                                                                                               \
        if (!(condition)) {                                                                                            \
            printf("FAILED %s:%d: %s\n", __FILE__, __LINE__, #condition);                                              \
            exit(1);                                                                                                   \
        }                                                                                                              \
    } while (0)

typedef struct {
    const char *name;
    void (*run)(void);
} test_case;

/* Each file of tests ends in one of these; all are listed in main.c. A null name ends a list. */
extern const test_case TESTS_PLAIN[], TESTS_GOLDEN[], TESTS_SPOOL[], TESTS_JSON[], TESTS_MQTT[], TESTS_UPLINK[],
    TESTS_SCHEDULES[], TESTS_DEVICE[], TESTS_CODECS[], TESTS_ERRORS[], TESTS_OTA[], TESTS_PAIR[], TESTS_ORDERS[],
    TESTS_IMPROV[];

/* How many records the power-cut test writes: its argument, 200 when there is none. */
extern unsigned test_records;

/* xorshift64*: the same numbers every time. */
uint64_t test_random(uint64_t *state);

#endif
