/* gate_seen.h - see gate_seen.c. */
#ifndef GATE_SEEN_H
#define GATE_SEEN_H

/* @with_hooks: calls are recorded, too. 0, or 1 after a line on stderr that says what went wrong. */
__attribute__((visibility("default"))) int gate_seen(int with_hooks);

#endif
