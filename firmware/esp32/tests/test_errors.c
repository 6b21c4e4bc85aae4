#include "test.h"
const test_case TESTS_ERRORS[] = {{NULL, NULL}};
