/* crew.c - starting and joining threads. The name is set by the thread itself, which is what ttap_thread_name() names.
 */
#include "crew.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <tracetap/tracetap.h>

struct birth {
    void (*run)(void *arg);
    void *arg;
    char name[32];
};

static void *thread_main(void *arg)
{
    struct birth birth = *(struct birth *)arg;

    free(arg);
    ttap_thread_name(birth.name);
    birth.run(birth.arg);
    return NULL;
}

static bool start_one(struct crew *crew, const char *name, void (*run)(void *arg), void *arg)
{
    if (crew->count == CREW_MAX)
        return false;
    struct birth *birth = malloc(sizeof *birth);
    if (!birth)
        return false;
    birth->run = run;
    birth->arg = arg;
    snprintf(birth->name, sizeof birth->name, "%s-%u", name, crew->count + 1);
    if (pthread_create(&crew->threads[crew->count], NULL, thread_main, birth) != 0) {
        free(birth);
        return false;
    }
    crew->count++;
    return true;
}

bool crew_start(struct crew *crew, const char *name, unsigned count, void (*run)(void *arg), void *arg)
{
    for (unsigned i = 0; i < count; i++)
        if (!start_one(crew, name, run, arg))
            return false;
    return true;
}

void crew_join(struct crew *crew)
{
    for (unsigned i = 0; i < crew->count; i++)
        pthread_join(crew->threads[i], NULL);
    crew->count = 0;
}
