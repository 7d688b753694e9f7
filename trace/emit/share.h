/* share.h - one arena for several processes: `tracetap run` and the programs it records.
 *
 *   memfd:  | gate page | card | arena: slots, names, lists | chunks ... |
 *               |                                                every process maps all of it, wherever it likes
 *               +-- mapped over the page that holds ttap_gate, in each process: one store opens the gates of all
 *
 * The keeper (tracetap's own helper) creates it, drains it and serves what it gets; it records nothing. Members record, and run nothing of
 * ours: no thread, no socket, no descriptor is needed after joining. What is private to a thread stays private to its process (records,
 * wiped in forked children), so a raw clone's child falls silent as it does without sharing, and a fork()ed one is a member.
 *
 * Any process may be killed at any time. Nobody waits for another: lists are lock-free, names are swapped in, and what a dead process
 * held is taken back by the keeper when it finds it gone.
 */
#ifndef TTAP_EMIT_SHARE_H
#define TTAP_EMIT_SHARE_H

#include <stdbool.h>
#include <stdint.h>

/* The object that holds the gate fills a page, so that a shared page can take its place without taking anything else with it. */
#if defined(__aarch64__)
#define TTAP__GATE_PAGE_BYTES 65536u
#else
#define TTAP__GATE_PAGE_BYTES 4096u
#endif

/* ttap_gate as defined here, which takes no look into the table of addresses: a hint for hooks, where they are called all the time. It is the same
 * word, or mapped to the same page where an arena is shared. In a process that records for itself and has ttap_gate elsewhere it follows a moment
 * later, and stays open where an emitter closed the gate (lease): whoever finds it open asks ttap_gate. */
extern __attribute__((visibility("hidden"))) uint64_t ttap__own_gate;
/* ttap_gate is @gate by now. Drainer, or the only thread of a forked child. */
void ttap__own_gate_follow(uint64_t gate);

/* Processes that are members at the same time. A build or a test suite under `run` has a few hundred; 8 bytes each. */
#define TTAP__MEMBERS_MAX 4096u

enum ttap__share_role { TTAP__SHARE_NONE, TTAP__SHARE_KEEPER, TTAP__SHARE_MEMBER };
extern int ttap__share_role;

/* keeper: make the arena with room for @chunks and map it here. Returns the descriptor (close-on-exec), or a negative errno.
 * Before anything else of this library is used in the process. */
int ttap__share_create(uint32_t chunks);

/* member: map what @fd is, and leave @fd alone. 0, or a negative errno and nothing changed: not ours, of another version, or this process
 * cannot take part (it has recorded already, owns a gate that does not fill its page, or has other process ids than the keeper sees). */
int ttap__share_join(int fd);

/* In the child of a member's fork(): a member of its own; in another PID namespace, none. */
void ttap__share_after_fork(void);

/* keeper: the members, one at a time; 0 at the end. @at: 0 first, then as it was left. */
int32_t ttap__share_next_member(uint32_t *at);
/* keeper: that one is gone. */
void ttap__share_forget_member(int32_t pid);

/* keeper: how many chunks there are in all. */
uint32_t ttap__share_chunks(void);

/* keeper: whose program this is, for the header of captures; the first member unless told. */
void ttap__share_name_program(int32_t pid);
int32_t ttap__share_program(void);

#endif
