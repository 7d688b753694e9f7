/* test_kept.c - kept captures: listed, pinned, evicted, deleted. Figures are for the smallest budget, 256 KiB for kept ones. */
#include <errno.h>
#include <string.h>

#include "subs.h"

static uint64_t keep(unsigned events)
{
    struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
    uint64_t id = 0;
    CU_ASSERT_FATAL(ttap__kept_start(&opts, &id) == 0);
    for (unsigned i = 0; i < events; i++)
        TTAP_COUNTER("tile.0", i);
    struct ttap__kept *kept = ttap__kept_get(id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    ttap__sub_stop(ttap__kept_sub(kept), TTAP__END_STOPPED);
    while (ttap__sub_state(ttap__kept_sub(kept)) == TTAP__SUB_RECORDING)
        nap_ms(1);
    ttap__kept_put(kept);
    return id;
}

static size_t bytes_of(uint64_t id, unsigned char **bytes)
{
    struct ttap__kept *kept = ttap__kept_get(id);
    CU_ASSERT_PTR_NOT_NULL_FATAL(kept);
    struct ttap__sub_info info;
    ttap__sub_info(ttap__kept_sub(kept), &info);
    *bytes = malloc(info.bytes);
    size_t len = 0, n;
    while ((n = ttap__sub_peek(ttap__kept_sub(kept), len, *bytes + len, info.bytes - len)))
        len += n;
    ttap__kept_put(kept);
    return len;
}

static void is_exact(uint64_t id, unsigned events)
{
    struct recording r;
    unsigned char *bytes;
    size_t len = bytes_of(id, &bytes);
    CU_ASSERT(recording_of_bytes(&r, bytes, len));
    CU_ASSERT(r.events_count == events);
    free(bytes);
    recording_free(&r);
}

static bool is_listed(uint64_t id)
{
    struct ttap__kept_info list[TTAP__KEPT_MAX];
    size_t count = ttap__kept_list(list, TTAP__KEPT_MAX);
    for (size_t i = 0; i < count; i++)
        if (list[i].id == id)
            return true;
    return false;
}

static void delete_all(void)
{
    struct ttap__kept_info list[TTAP__KEPT_MAX];
    for (size_t i = 0, count = ttap__kept_list(list, TTAP__KEPT_MAX); i < count; i++)
        ttap__kept_delete(list[i].id);
    CU_ASSERT(ttap__kept_list(NULL, 0) == 0);
}

static void one_can_be_read_any_number_of_times(void)
{
    uint64_t id = keep(3000);
    for (int i = 0; i < 3; i++)
        is_exact(id, 3000);
    unsigned char *bytes, piece[777];
    size_t len = bytes_of(id, &bytes);
    struct ttap__kept *kept = ttap__kept_get(id);
    for (size_t at = 0; at < len; at += 500) { /* from anywhere */
        size_t n = ttap__sub_peek(ttap__kept_sub(kept), at, piece, sizeof(piece));
        CU_ASSERT(n == (len - at < sizeof(piece) ? len - at : sizeof(piece)) && !memcmp(piece, bytes + at, n));
    }
    CU_ASSERT(ttap__sub_peek(ttap__kept_sub(kept), len, piece, 1) == 0);
    CU_ASSERT(ttap__sub_peek(ttap__kept_sub(kept), UINT64_MAX, piece, 1) == 0);
    ttap__kept_put(kept);
    free(bytes);
    delete_all();
}

static void the_list_is_by_age_and_tells_what_is_pinned(void)
{
    uint64_t one = keep(10), two = keep(10);
    struct ttap__kept *kept = ttap__kept_get(one);
    struct ttap__kept_info list[3];
    CU_ASSERT(ttap__kept_list(list, 3) == 2);
    CU_ASSERT(list[0].id == one && list[1].id == two && list[0].pinned && !list[1].pinned);
    CU_ASSERT(list[0].sub.delivered == 10 && list[0].sub.state == TTAP__SUB_DRAINING);
    CU_ASSERT(ttap__kept_list(list, 1) == 2);
    ttap__kept_put(kept);
    delete_all();
}

static void the_oldest_unpinned_goes_when_room_is_needed(void)
{
    uint64_t first = keep(2000), second = keep(2000);
    struct ttap__kept *pinned = ttap__kept_get(first);
    for (int i = 0; i < 10; i++)
        keep(2000);
    CU_ASSERT(is_listed(first) && !is_listed(second));
    is_exact(first, 2000);
    ttap__kept_put(pinned);
    for (int i = 0; i < 10; i++)
        keep(2000);
    CU_ASSERT(!is_listed(first));
    delete_all();
}

static void without_room_the_start_is_refused_while_all_are_pinned(void)
{
    struct ttap__kept *pins[TTAP__KEPT_MAX];
    struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
    size_t count = 0;
    uint64_t id;
    int error;
    while (!(error = ttap__kept_start(&opts, &id)) && count < TTAP__KEPT_MAX) {
        for (int i = 0; i < 3000; i++)
            TTAP_COUNTER("tile.0", i);
        pins[count] = ttap__kept_get(id);
        ttap__sub_stop(ttap__kept_sub(pins[count]), TTAP__END_STOPPED);
        while (ttap__sub_state(ttap__kept_sub(pins[count])) == TTAP__SUB_RECORDING)
            nap_ms(1);
        count++;
    }
    CU_ASSERT(error == -ENOSPC && count >= 2);
    ttap__kept_put(pins[--count]);
    CU_ASSERT(ttap__kept_start(&opts, &id) == 0); /* one unpinned is enough */
    while (count)
        ttap__kept_put(pins[--count]);
    delete_all();
}

static void one_that_finds_no_room_ends_rather_than_being_full_of_holes(void)
{
    struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
    struct ttap__sub_info info;
    struct emitters e;
    uint64_t id;
    CU_ASSERT_FATAL(ttap__kept_start(&opts, &id) == 0);
    struct ttap__kept *kept = ttap__kept_get(id);
    emitters_start(&e, 2, 50);
    while (ttap__sub_state(ttap__kept_sub(kept)) == TTAP__SUB_RECORDING)
        nap_ms(1);
    emitters_stop(&e);
    ttap__sub_info(ttap__kept_sub(kept), &info);
    CU_ASSERT(info.why == TTAP__END_BYTES && info.delivered > 0);
    struct recording r;
    unsigned char *bytes;
    size_t len = bytes_of(id, &bytes);
    CU_ASSERT(recording_of_bytes(&r, bytes, len));
    recording_free(&r);
    free(bytes);
    ttap__kept_put(kept);
    delete_all();
}

static void a_deleted_one_is_off_the_list_at_once_and_readable_to_whoever_pins_it(void)
{
    uint64_t id = keep(500);
    struct ttap__kept *kept = ttap__kept_get(id);
    unsigned char byte;
    CU_ASSERT(ttap__kept_delete(id) == 0);
    CU_ASSERT(!is_listed(id) && !ttap__kept_get(id));
    CU_ASSERT(ttap__kept_delete(id) == -ENOENT);
    CU_ASSERT(ttap__sub_peek(ttap__kept_sub(kept), 0, &byte, 1) == 1 && byte == 'T');
    ttap__kept_put(kept);
    struct ttap_status status = {.size = sizeof(status)};
    for (int i = 0; i < 100; i++) { /* ten seconds at most */
        ttap_status_get(&status);
        if (!status.used_bytes)
            break;
        nap_ms(100);
    }
    CU_ASSERT(status.used_bytes == 0);
}

static void one_can_be_deleted_while_it_records(void)
{
    struct ttap__sub_opts opts = TTAP__SUB_OPTS_INIT;
    uint64_t id;
    CU_ASSERT_FATAL(ttap__kept_start(&opts, &id) == 0);
    CU_ASSERT(ttap__kept_delete(id) == 0);
    CU_ASSERT((TTAP_ENABLED(TTAP_GROUPS_ALL)) == 0);
    CU_ASSERT(ttap__kept_list(NULL, 0) == 0);
}

static void more_than_64_push_the_oldest_out(void)
{
    ttap_budget_set(64u << 20);
    uint64_t first = keep(1);
    for (unsigned i = 0; i < TTAP__KEPT_MAX; i++)
        keep(1);
    CU_ASSERT(ttap__kept_list(NULL, 0) == TTAP__KEPT_MAX && !is_listed(first));
    delete_all();
}

static CU_TestInfo statements[] = {
    {"one can be read any number of times", one_can_be_read_any_number_of_times},
    {"the list is by age and tells what is pinned", the_list_is_by_age_and_tells_what_is_pinned},
    {"the oldest unpinned goes when room is needed", the_oldest_unpinned_goes_when_room_is_needed},
    {"without room the start is refused while all are pinned", without_room_the_start_is_refused_while_all_are_pinned},
    {"one that finds no room ends rather than being full of holes", one_that_finds_no_room_ends_rather_than_being_full_of_holes},
    {"a deleted one is off the list at once and readable to whoever pins it", a_deleted_one_is_off_the_list_at_once_and_readable_to_whoever_pins_it},
    {"one can be deleted while it records", one_can_be_deleted_while_it_records},
    {"more than 64 push the oldest out", more_than_64_push_the_oldest_out},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    ttap_budget_set(1u << 20);
    return run_statements(statements);
}
