/* signal_storm.h - a timer that sends the calling thread a signal many times a second, in the middle of whatever it does. */
#ifndef TTAP_TEST_SIGNAL_STORM_H
#define TTAP_TEST_SIGNAL_STORM_H

#include <signal.h>
#include <time.h>

struct signal_storm {
    timer_t timer;
    int signo;
};

/* Install @handler for the process; SA_RESTART, and with SA_NODEFER other storms may interrupt it. */
void signal_storm_handle(int signo, void (*handler)(int));
/* To the calling thread, @hz times a second of wall time. Returns 0, or a negative errno. */
int signal_storm_start(struct signal_storm *storm, int signo, unsigned hz);
/* From the same thread; no signal comes afterwards. */
void signal_storm_stop(struct signal_storm *storm);

#endif
