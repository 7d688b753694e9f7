/* routes.c - the table of endpoints. */
#include <string.h>

#include "handlers.h"

void ttap__routes_all(struct ttap__route out[TTAP__ROUTE_COUNT])
{
    const struct ttap__route *const all[TTAP__ROUTE_COUNT] = {
        &ttap__route_trace,    &ttap__route_captures, &ttap__route_kept, &ttap__route_kept_stop,
        &ttap__route_sampling, &ttap__route_status,   &ttap__route_home, &ttap__route_viewer,
    };
    for (size_t i = 0; i < TTAP__ROUTE_COUNT; i++)
        out[i] = *all[i];
}
