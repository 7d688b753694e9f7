/* params.h - the grammars of parameters by themselves, for their tests and the fuzzer. False leaves *@out alone. */
#ifndef TTAP_SERVER_PARAMS_H
#define TTAP_SERVER_PARAMS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** digits[.digits], at most 12 characters. Digits below a nanosecond are dropped. */
bool ttap__parse_seconds(const char *text, uint64_t *out_ns);
bool ttap__parse_u64(const char *text, uint64_t *out);
/** A comma-separated subset of a NULL-terminated list of at most 64, each at most once. */
bool ttap__parse_set(const char *text, const char *const *choices, uint64_t *out);
/** Index in a NULL-terminated list, or -1. */
int ttap__find_choice(const char *const *choices, const char *text, size_t len);

#endif
