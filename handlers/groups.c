/* groups.c - the names of event groups. */
#include "handlers.h"

#define TTAP_GROUP_ROW(NAME, name) name,
const char *const ttap__group_names[] = {
#include "groups.def"
    NULL};
#undef TTAP_GROUP_ROW

#define TTAP_GROUP_ROW(NAME, name) TTAP_GROUP_##NAME,
static const uint64_t bits[] = {
#include "groups.def"
};
#undef TTAP_GROUP_ROW

uint64_t ttap__groups_of_choices(uint64_t chosen)
{
    uint64_t groups = 0;
    for (size_t i = 0; i < sizeof bits / sizeof *bits; i++)
        if (chosen >> i & 1)
            groups |= bits[i];
    return groups;
}

json_t *ttap__groups_json(uint64_t groups)
{
    json_t *names = json_array();
    for (size_t i = 0; names && ttap__group_names[i]; i++)
        if (groups & bits[i] && json_array_append_new(names, json_string(ttap__group_names[i])) != 0) {
            json_decref(names);
            return NULL;
        }
    return names;
}
