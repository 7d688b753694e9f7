/* actors.h - who lives in the simulated process: emitters, those who open captures, and one that ends the day. */
#ifndef TTAP_SIMULATION_ACTORS_H
#define TTAP_SIMULATION_ACTORS_H

#include <stdint.h>

/* Draw a day from the seed and live it. */
void actors_live(void);
/* Afterwards: nothing is left. */
void actors_check_nothing_left(void);
uint64_t actors_day_ns(void);

#endif
