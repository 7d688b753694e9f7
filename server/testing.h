/* testing.h - for tests alone, which compile this folder with TTAP_TESTING: leave one access rule out, to see that it guards; shorten a wait. */
#ifndef TTAP_SERVER_TESTING_H
#define TTAP_SERVER_TESTING_H

#include <stddef.h>
#include <stdint.h>

/** Name of the rule that is not applied; NULL: all are. */
extern const char *ttap__testing_rule_removed;
/** Names of the rules in the order they apply; NULL behind the last. */
const char *ttap__testing_rule_name(size_t index);
/** Over how long a stream's pace is measured. */
extern _Atomic uint64_t ttap__testing_stall_window_ns;

#endif
