/* clerk.h - a thread with a descriptor table of its own.
 *
 * What the sources open (a perf event for each thread and CPU, files below /proc) must neither use up the program's descriptors nor be closed by it:
 * a program that calls close_range(3, ~0) would go on to reuse our numbers. So they are opened, read and closed by one thread that shares everything
 * with the process but its descriptors. It exists while a source runs that has hired it.
 */
#ifndef TTAP_SOURCES_CLERK_H
#define TTAP_SOURCES_CLERK_H

#include <stdbool.h>

/* False: no thread, or the kernel gives it no table of its own (before 5.9, or a filter forbids close_range). */
bool ttap__clerk_hire(void);
/* Have it do something, and wait until it is done. */
void ttap__clerk_do(void (*work)(void *arg), void *arg);
/* On the clerk: close all it has opened. */
void ttap__clerk_close_all(void);
/* Its descriptors go with it. */
void ttap__clerk_dismiss(void);
void ttap__clerk_after_fork(void);

#endif
