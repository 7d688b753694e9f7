/* stages.h - the four stages, each with its threads and the bounded queue before it. */
#ifndef PIPELINE_STAGES_H
#define PIPELINE_STAGES_H

#include <stdbool.h>

#include "options.h"
#include "request.h"

/** @done(request) is called by the last stage, on its thread. False: no memory or threads; stages_stop() is still due.
 */
bool stages_start(const struct options *options, void (*done)(struct request *request));

/** Hand in a request. False, with the request still yours: the first queue is full. Never waits. */
bool stages_submit(struct request *request);

/** Finish what was handed in, then end. */
void stages_stop(void);

#endif
