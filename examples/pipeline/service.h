/* service.h - the application's own HTTP: GET /item/N. Each request is a task, from its head to the reply's last byte.
 */
#ifndef PIPELINE_SERVICE_H
#define PIPELINE_SERVICE_H

#include <stdbool.h>
#include <stdint.h>

#include "options.h"

/** Listen on 127.0.0.1 and start the stages. False: no port, memory or threads; nothing is left running. */
bool service_start(const struct options *options);
uint16_t service_port(void);
/** Finish the requests that are here, then end. */
void service_stop(void);

struct service_totals {
    unsigned long served, failed;
};
struct service_totals service_totals(void);

#endif
