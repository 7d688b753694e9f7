/* groups.c - the names of event groups. */
#include "handlers.h"

/* In the order of the bits of TTAP_GROUP_*, which is frozen. */
const char *const ttap__group_names[] = {"task", "region", "log", "counter", "queue", "gc", NULL};
_Static_assert(TTAP_GROUP_TASK == 1u << 0 && TTAP_GROUP_REGION == 1u << 1 && TTAP_GROUP_LOG == 1u << 2 &&
                   TTAP_GROUP_COUNTER == 1u << 3 && TTAP_GROUP_QUEUE == 1u << 4 && TTAP_GROUP_GC == 1u << 5,
               "a group's name stands at the number of its bit");

json_t *ttap__groups_json(uint64_t groups)
{
    json_t *names = json_array();
    for (size_t i = 0; names && ttap__group_names[i]; i++)
        if (groups >> i & 1 && json_array_append_new(names, json_string(ttap__group_names[i])) != 0) {
            json_decref(names);
            return NULL;
        }
    return names;
}
