/* others.h - what else runs on the CPUs: stretches in which threads of one process that is not recorded follow each other.
 *
 *      switches of a CPU    ours | sshd | sshd | idle | ours      a thread of our own that records is an other one, too
 *      told                      [ sshd      ]
 *
 * Stretches of less than TTAP__OTHER_MIN_NS are left out: there are many, and they make nobody wait. Drainer only.
 */
#ifndef TTAP_SOURCES_OTHERS_H
#define TTAP_SOURCES_OTHERS_H

#include <stdbool.h>
#include <stdint.h>

/* A millionth of a window of some seconds is no pixel of it; and a CPU tells of 20,000 a second at most. */
#define TTAP__OTHER_MIN_NS 50000u

/* Both told, so that one stretch ends where the next begins however ticks are turned into time later. */
struct ttap__moment {
    uint64_t ns, ticks;
};

struct ttap__other {
    uint32_t cpu;
    int pid;
    struct ttap__moment since;
};

/* Whoever is found on a CPU has been there since now. */
void ttap__others_start(struct ttap__moment now);
/* On this CPU @came follows @left: numbers of processes, 0 for none and for one that is recorded. True: @out ends here. */
bool ttap__others_switch(uint32_t cpu, int left, int came, struct ttap__moment at, struct ttap__other *out);
/* The next one that goes on, told up to here: for (cpu = 0; cut(&cpu, at, &out); cpu++). */
bool ttap__others_cut(uint32_t *cpu, struct ttap__moment at, struct ttap__other *out);
/* Who had this CPU up to here is not known. */
void ttap__others_lost(uint32_t cpu, struct ttap__moment at);
/* A process has another name, or its number may be another's now. */
void ttap__others_forget(int pid);
/* The name of its name, "" where it has ended. Asks the clerk, once a process. */
uint32_t ttap__others_name(int pid);

#endif
