/* Delivers messages whose property `priority` is a number that is at least the argument. */
#include "petrel_plugin.h"

const char petrel_version[] = "1.0.0";
const uint32_t petrel_wants = PETREL_PROPERTIES;

/* The number of a text of 1 to 9 digits, or -1. */
static int32_t number(struct petrel_text text) {
    if (text.size == 0 || text.size > 9) return -1;
    int32_t value = 0;
    for (size_t i = 0; i < text.size; i++) {
        if (text.at[i] < '0' || text.at[i] > '9') return -1;
        value = value * 10 + (text.at[i] - '0');
    }
    return value;
}

const char *petrel_refuses(struct petrel_text argument) {
    return number(argument) < 0 ? "the argument is a number of 1 to 9 digits" : NULL;
}

bool petrel_matches(const struct petrel_batch *batch, const struct petrel_message *message, struct petrel_text argument) {
    int32_t priority = number(petrel_property(batch, message, "priority"));
    return priority >= 0 && priority >= number(argument);
}
