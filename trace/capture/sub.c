/* sub.c - one subscriber: its bytes, and the account of every stream it can see.
 *
 *   start_seq ... end_seq = delivered + filtered + lost (by reason)         for each stream; each number is put down here, once,
 *                                                                           at the moment the bytes that prove it go into the queue
 *
 * When the queue is full, events are dropped run by run; the loss is remembered in the account (pending) and told as soon as there is
 * room. Small blocks (losses, names, threads, accounts) have a reserve beyond the limit, and the last ones go in whatever the limit.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "share.h"
#include "source.h"
#include "stacktable.h"

enum put_how { PUT_EVENTS, PUT_CONTROL, PUT_ALWAYS };

/* ---- Into the queue ---- */

static bool may_put(struct ttap__sub *sub, size_t bytes, enum put_how how)
{
    uint64_t cost = ttap__queue_cost(&sub->queue, bytes);
    if (!cost || how == PUT_ALWAYS)
        return true;
    while (!ttap__pool_has_room(&sub->queue, cost, how == PUT_CONTROL ? TTAP__QUEUE_RESERVE_BYTES : 0)) {
        if (!sub->opts.keep)
            return false;
        pthread_mutex_unlock(&sub->mutex); /* the list of kept captures is locked before their subs */
        bool made_room = ttap__kept_evict_one();
        pthread_mutex_lock(&sub->mutex);
        if (made_room)
            continue;
        sub->why = TTAP__END_BYTES; /* a kept capture without room is over, rather than full of holes; also if it was about to end by itself */
        sub->full = true;
        return false;
    }
    return true;
}

static bool put(struct ttap__sub *sub, const struct ttap__piece *piece, size_t count, enum put_how how)
{
    size_t bytes = 0;
    for (size_t i = 0; i < count; i++)
        bytes += piece[i].len;
    pthread_mutex_lock(&sub->mutex);
    bool ok = may_put(sub, bytes, how) && ttap__queue_put(&sub->queue, piece, count);
    if (ok) {
        sub->blocks++;
        if (sub->opts.max_bytes && sub->queue.put_bytes >= sub->opts.max_bytes && !sub->why)
            sub->why = TTAP__END_BYTES;
        sub->full |= sub->why == TTAP__END_BYTES;
    }
    pthread_mutex_unlock(&sub->mutex);
    return ok;
}

/* One block that was written into @out by ttap__out_block_open and _close. */
static bool put_block(struct ttap__sub *sub, const struct ttap__out *out, enum put_how how)
{
    struct ttap__piece piece = {out->start, ttap__out_bytes(out)};
    return !out->full && put(sub, &piece, 1, how);
}

/* ---- Names and threads: told before what uses them ---- */

#define BLOCK_BYTES (32u << 10)
#define MODULE_PATH_MAX 4096u
#define ROW_BYTES_MAX 4352 /* a module's; a stack of 96 frames takes at most 96 x 12 */

static void put_name_row(struct ttap__out *out, const struct ttap__arena *arena, uint32_t id, uint32_t len)
{
    uint32_t offset = ttap__load(&arena->name[id].offset);
    if (len > TTAP_NAME_BYTES_MAX || offset > TTAP__NAME_TEXT_BYTES - len)
        offset = len = 0; /* written over */
    ttap__out_varint(out, id);
    ttap__out_string(out, arena->name_text + offset, len);
}

/* False: reserved, not filled in. No event can carry it yet, but it may be ready next time. */
static bool put_ready_name(struct ttap__out *row, const struct ttap__arena *arena, uint32_t id)
{
    uint32_t len = ttap__load_acquire(&arena->name[id].len_plus_1); /* release: store() in names.c */
    if (len)
        put_name_row(row, arena, id, len - 1);
    return len != 0;
}

static bool put_name_rows(struct ttap__sub *sub, const struct ttap__out *row, uint32_t count)
{
    unsigned char block[BLOCK_BYTES + 32];
    if (!count)
        return true;
    struct ttap__out out = ttap__out_of(block, sizeof(block));
    size_t opened = ttap__out_block_open(&out, TTAP__BLOCK_NAMES);
    ttap__out_varint(&out, count);
    ttap__out_bytes_of(&out, row->start, ttap__out_bytes(row));
    ttap__out_block_close(&out, opened);
    return put_block(sub, &out, PUT_CONTROL);
}

static bool has_name_room(const struct ttap__out *row)
{
    return row->end - row->at > TTAP_NAME_BYTES_MAX + 32;
}

/* Those that were not ready and are now: each name is told once. */
static bool send_skipped_names(struct ttap__sub *sub, const struct ttap__arena *arena)
{
    unsigned char rows[BLOCK_BYTES];
    struct ttap__out row = ttap__out_of(rows, sizeof(rows));
    uint32_t left[TTAP__NAMES_SKIPPED_MAX], count = 0, still = 0;
    for (uint32_t i = 0; i < sub->names_skipped; i++) {
        uint32_t id = sub->name_skipped[i];
        if (has_name_room(&row) && put_ready_name(&row, arena, id))
            count++;
        else
            left[still++] = id;
    }
    if (!put_name_rows(sub, &row, count))
        return false;
    memcpy(sub->name_skipped, left, still * sizeof(*left));
    sub->names_skipped = still;
    return true;
}

static void skip_name(uint32_t *skipped, uint32_t *count, uint32_t id)
{
    if (*count == TTAP__NAMES_SKIPPED_MAX)
        memmove(skipped, skipped + 1, --*count * sizeof(*skipped));
    skipped[(*count)++] = id;
}

/* Names from sub->names_sent on, as many as one block takes. */
static bool send_name_block(struct ttap__sub *sub, const struct ttap__arena *arena, uint32_t made)
{
    unsigned char rows[BLOCK_BYTES];
    struct ttap__out row = ttap__out_of(rows, sizeof(rows));
    uint32_t skipped[TTAP__NAMES_SKIPPED_MAX], skipped_count = sub->names_skipped;
    uint32_t count = 0, id = sub->names_sent;
    memcpy(skipped, sub->name_skipped, skipped_count * sizeof(*skipped));
    while (id < made && has_name_room(&row)) {
        if (put_ready_name(&row, arena, ++id))
            count++;
        else
            skip_name(skipped, &skipped_count, id);
    }
    if (!put_name_rows(sub, &row, count))
        return false;
    memcpy(sub->name_skipped, skipped, skipped_count * sizeof(*skipped));
    sub->names_skipped = skipped_count;
    sub->names_sent = id;
    return true;
}

static bool send_names(struct ttap__sub *sub)
{
    const struct ttap__arena *arena = ttap__arena_here();
    uint32_t made = ttap__load_acquire(&arena->names_made);
    if (made > TTAP_NAMES_MAX)
        made = TTAP_NAMES_MAX;
    if (!sub->names_full_sent && ttap__load(&arena->names_full)) {
        unsigned char block[64];
        struct ttap__out out = ttap__out_of(block, sizeof(block));
        size_t opened = ttap__out_block_open(&out, TTAP__BLOCK_NAMES);
        ttap__out_varint(&out, 1);
        put_name_row(&out, arena, TTAP_NAMES_MAX + 1, arena->name[TTAP_NAMES_MAX + 1].len_plus_1 - 1);
        ttap__out_block_close(&out, opened);
        if (!put_block(sub, &out, PUT_CONTROL))
            return false;
        sub->names_full_sent = true;
    }
    if (sub->names_skipped && !send_skipped_names(sub, arena))
        return false;
    while (sub->names_sent < made)
        if (!send_name_block(sub, arena, made))
            return false;
    return true;
}

/* ---- Modules and stacks: likewise ---- */

static void put_module_row(struct ttap__out *out, uint32_t number)
{
    const struct ttap__module *module = ttap__module_at(number);
    ttap__out_varint(out, number);
    ttap__out_varint(out, module->start);
    ttap__out_varint(out, module->end);
    ttap__out_varint(out, module->offset);
    ttap__out_string(out, module->path, strnlen(module->path, MODULE_PATH_MAX));
    ttap__out_string(out, (const char *)module->build_id, module->build_id_bytes);
}

static void put_mapped_row(struct ttap__out *out, uint32_t number)
{
    struct ttap__mapped mapped = ttap__mapped_at(number);
    ttap__out_varint(out, mapped.pid);
    ttap__out_varint(out, mapped.module);
}

static void put_stack_row(struct ttap__out *out, uint32_t number)
{
    const uint64_t *frame;
    const struct ttap__stack_entry *stack = ttap__stack_at(number, &frame);
    ttap__out_varint(out, number);
    ttap__out_u8(out, stack->cut);
    ttap__out_varint(out, stack->count);
    for (unsigned i = 0; i < stack->count; i++) {
        ttap__out_varint(out, TTAP__FRAME_MODULE(frame[i]));
        ttap__out_varint(out, TTAP__FRAME_OFFSET(frame[i]));
    }
}

/* Rows of one table from *@sent on, as many as one block takes. */
static bool send_row_block(struct ttap__sub *sub, enum ttap__block type, void (*put_row)(struct ttap__out *out, uint32_t number), uint32_t *sent,
                           uint32_t made)
{
    unsigned char rows[BLOCK_BYTES], block[BLOCK_BYTES + 32];
    struct ttap__out row = ttap__out_of(rows, sizeof(rows));
    uint32_t number = *sent;
    while (number < made && row.end - row.at > ROW_BYTES_MAX)
        put_row(&row, ++number);
    struct ttap__out out = ttap__out_of(block, sizeof(block));
    size_t opened = ttap__out_block_open(&out, type);
    ttap__out_varint(&out, number - *sent);
    ttap__out_bytes_of(&out, rows, ttap__out_bytes(&row));
    ttap__out_block_close(&out, opened);
    if (!put_block(sub, &out, PUT_EVENTS))
        return false;
    *sent = number;
    return true;
}

#define STACK_GROUPS (TTAP_GROUP_SAMPLE | TTAP_GROUP_ALLOC_SAMPLE)

/* Modules are there if somebody asked for stacks or locks: frames and static locks lie in them. */
static bool send_stacks(struct ttap__sub *sub)
{
    if (!(sub->opts.groups & (STACK_GROUPS | TTAP_GROUP_LOCK)))
        return true;
    while (sub->modules_sent < ttap__modules_made())
        if (!send_row_block(sub, TTAP__BLOCK_MODULES, put_module_row, &sub->modules_sent, ttap__modules_made()))
            return false;
    while (sub->mapped_sent < ttap__mapped_made())
        if (!send_row_block(sub, TTAP__BLOCK_MAPPED, put_mapped_row, &sub->mapped_sent, ttap__mapped_made()))
            return false;
    if (!(sub->opts.groups & STACK_GROUPS))
        return true;
    while (sub->stacks_sent < ttap__stacks_made())
        if (!send_row_block(sub, TTAP__BLOCK_STACKS, put_stack_row, &sub->stacks_sent, ttap__stacks_made()))
            return false;
    return true;
}

/* The name a thread gave itself, else the kernel's, else none. */
static size_t thread_name_of(const struct ttap__slot *slot, uint32_t *version, char name[TTAP__THREAD_NAME_BYTES])
{
    name[0] = 0; /* if it never settles */
    for (int tries = 0; tries < 8; tries++) {
        *version = ttap__load_acquire(&slot->name_version); /* release: ttap_thread_name() */
        if (*version & 1)
            continue;
        for (size_t i = 0; i < TTAP__THREAD_NAME_BYTES; i++)
            name[i] = (char)ttap__load_acquire(&slot->name[i]);
        if (ttap__load(&slot->name_version) == *version)
            break;
    }
    name[TTAP__THREAD_NAME_BYTES - 1] = 0;
    *version &= ~1u; /* never settled: send it again when it has */
    return strlen(name);
}

static size_t kernel_name_of(int pid, int tid, char name[TTAP__THREAD_NAME_BYTES])
{
    char path[64];
    if (ttap__share_role == TTAP__SHARE_NONE)
        snprintf(path, sizeof(path), "/proc/self/task/%d/comm", tid);
    else
        snprintf(path, sizeof(path), "/proc/%d/task/%d/comm", pid, tid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    ssize_t n = read(fd, name, TTAP__THREAD_NAME_BYTES - 1);
    close(fd);
    if (n <= 0)
        return 0;
    return name[n - 1] == '\n' ? (size_t)n - 1 : (size_t)n;
}

/* What the thread is called in captures. */
static uint64_t number_of(struct ttap__stream_id id)
{
    return id.level < TTAP__LEVEL_SCHED ? ttap__slot_number(id.slot, id.uid) : id.uid;
}

static bool put_thread(struct ttap__sub *sub, uint64_t number, int pid, int tid, const char *name, size_t len)
{
    unsigned char block[TTAP__THREAD_NAME_BYTES + 64];
    struct ttap__out out = ttap__out_of(block, sizeof(block));
    size_t opened = ttap__out_block_open(&out, TTAP__BLOCK_THREADS);
    ttap__out_varint(&out, 1);
    ttap__out_varint(&out, number);
    ttap__out_varint(&out, (uint64_t)pid);
    ttap__out_varint(&out, (uint64_t)tid);
    ttap__out_string(&out, name, len);
    ttap__out_block_close(&out, opened);
    return put_block(sub, &out, PUT_CONTROL);
}

/* The slot of the same thread, if it has one that was told already or will be: then its row has the better name. */
static bool told_by_slot(const struct ttap__sub *sub, uint64_t number)
{
    for (uint32_t at = 0; at < sub->accounts.room; at++)
        if (sub->accounts.row[at].uid && sub->accounts.row[at].name_version && ttap__slot_number(at / 2, sub->accounts.row[at].uid) == number)
            return true;
    return false;
}

/* It had one, and nobody gave the thread another name since. Who executes another program gets one from the kernel. */
static bool was_told_by_slot(const struct ttap__sub *sub, const struct ttap__source_thread *thread)
{
    for (uint32_t i = 0; i < TTAP__NAMED; i++)
        if (sub->named[i] == thread->number)
            return thread->name_version == TTAP__SOURCE_NAME_FIRST;
    return false;
}

/* A thread as a source knows it. */
static bool send_source_thread(struct ttap__sub *sub, struct ttap__stream_id id, struct ttap__account *account)
{
    struct ttap__source_thread thread = ttap__source_of_level(id.level)->thread(id.slot);
    if (thread.name_version == account->name_version)
        return true;
    char name[TTAP__THREAD_NAME_BYTES];
    if (!told_by_slot(sub, thread.number) && !was_told_by_slot(sub, &thread) &&
        !put_thread(sub, thread.number, thread.pid, thread.tid, name, kernel_name_of(thread.pid, thread.tid, name)))
        return false;
    account->name_version = thread.name_version;
    return true;
}

static bool send_thread(struct ttap__sub *sub, struct ttap__stream_id id, struct ttap__account *account)
{
    if (id.level >= TTAP__LEVEL_SCHED)
        return send_source_thread(sub, id, account);
    const struct ttap__slot *slot = &ttap__arena_here()->slot[id.slot];
    if (ttap__load(&slot->name_version) == account->name_version)
        return true;
    uint32_t version;
    char name[TTAP__THREAD_NAME_BYTES];
    size_t len = thread_name_of(slot, &version, name);
    if (!len)
        len = kernel_name_of(ttap__load(&slot->pid), ttap__load(&slot->tid), name);
    if (!len) { /* it is gone */
        len = strnlen(slot->comm, sizeof(slot->comm));
        memcpy(name, slot->comm, len);
    }
    int pid = ttap__load_acquire(&slot->pid), tid = ttap__load_acquire(&slot->tid);
    if (ttap__load(&slot->uid) != id.uid) /* the slot is another thread's by now: of this one there is nothing to tell any more */
        return account->name_version != 0;
    if (!put_thread(sub, number_of(id), pid, tid, name, len))
        return false;
    if (sub->opts.groups & TTAP_GROUP_LOCK && ttap__hooks_present())
        ttap__modules_look(pid, tid == pid && !account->name_version);
    account->name_version = version;
    return true;
}

/* ---- Accounts ---- */

/* Where the account of a stream is: streams of slots in one table, those of sources in another. */
static uint32_t account_place(struct ttap__sub *sub, struct ttap__stream_id id, struct ttap__accounts **table)
{
    bool own = id.level < TTAP__LEVEL_SCHED;
    *table = own ? &sub->accounts : &sub->source_accounts[id.level - TTAP__LEVEL_SCHED];
    return own ? id.slot * 2 + id.level : id.slot;
}

static struct ttap__account *account_of(struct ttap__sub *sub, struct ttap__stream_id id, uint64_t first_seq)
{
    struct ttap__accounts *accounts;
    uint32_t at = account_place(sub, id, &accounts);
    if (at >= accounts->room) {
        uint32_t room = (at + 64) * 2;
        struct ttap__account *grown = realloc(accounts->row, room * sizeof(*grown));
        if (!grown)
            return NULL;
        memset(grown + accounts->room, 0, (room - accounts->room) * sizeof(*grown));
        accounts->row = grown;
        accounts->room = room;
    }
    struct ttap__account *account = &accounts->row[at];
    if (account->uid != id.uid)
        *account = (struct ttap__account){.uid = id.uid, .start_seq = first_seq};
    return account;
}

static uint64_t lost_of(const struct ttap__account *account)
{
    uint64_t lost = 0;
    for (int i = 1; i <= TTAP__LOSS_REASONS; i++)
        lost += account->lost[i];
    return lost;
}

static void show(struct ttap__sub *sub, uint64_t delivered, uint64_t filtered, uint64_t lost, uint64_t sampled_out)
{
    pthread_mutex_lock(&sub->mutex);
    sub->shown.events += delivered + filtered + lost;
    sub->shown.delivered += delivered;
    sub->shown.filtered += filtered;
    sub->shown.lost += lost;
    sub->shown.sampled_out += sampled_out;
    pthread_mutex_unlock(&sub->mutex);
}

static bool send_loss(struct ttap__sub *sub, uint64_t uid, unsigned level, enum ttap__loss why, uint64_t first_seq, uint64_t lost, uint64_t filtered,
                      uint64_t from_ticks, uint64_t to_ticks, enum put_how how)
{
    unsigned char block[128];
    struct ttap__out out = ttap__out_of(block, sizeof(block));
    if ((int64_t)(to_ticks - from_ticks) < 0)
        to_ticks = from_ticks; /* clocks of two CPUs: the last lost event may be before the first */
    size_t opened = ttap__out_block_open(&out, TTAP__BLOCK_LOSS);
    ttap__out_varint(&out, uid);
    ttap__out_u8(&out, level);
    ttap__out_u8(&out, why);
    ttap__out_varint(&out, first_seq);
    ttap__out_varint(&out, lost);
    ttap__out_varint(&out, filtered);
    ttap__out_varint(&out, from_ticks);
    ttap__out_varint(&out, to_ticks);
    ttap__out_block_close(&out, opened);
    return put_block(sub, &out, how);
}

static bool tell_pending(struct ttap__sub *sub, struct ttap__stream_id id, struct ttap__account *a, enum put_how how)
{
    if (!a->pending)
        return true;
    if (!send_thread(sub, id, a) && how != PUT_ALWAYS)
        return false;
    if (!send_loss(sub, number_of(id), id.level, TTAP__LOSS_QUEUE, a->pending_seq, a->pending_lost, a->pending_filtered, a->pending_from,
                   a->pending_to, how))
        return false;
    a->pending = false;
    return true;
}

static void lose_to_queue(struct ttap__account *a, uint64_t first_seq, uint64_t lost, uint64_t filtered, uint64_t from_ticks, uint64_t to_ticks)
{
    if (!a->pending) {
        a->pending = true;
        a->pending_seq = first_seq;
        a->pending_lost = a->pending_filtered = 0;
        a->pending_from = from_ticks;
    }
    a->pending_lost += lost;
    a->pending_filtered += filtered;
    a->pending_to = to_ticks;
    a->lost[TTAP__LOSS_QUEUE] += lost;
    a->filtered += filtered;
}

static bool send_events(struct ttap__sub *sub, struct ttap__stream_id id, const struct ttap__account *a, uint64_t first_seq,
                        const struct ttap__run *run)
{
    unsigned char front[160];
    struct ttap__out out = ttap__out_of(front, sizeof(front));
    ttap__out_block_open(&out, TTAP__BLOCK_EVENTS);
    ttap__out_varint(&out, number_of(id));
    ttap__out_u8(&out, id.level);
    ttap__out_varint(&out, first_seq);
    ttap__out_varint(&out, run->base_ticks);
    ttap__out_varint(&out, run->last_ticks - run->base_ticks);
    ttap__out_varint(&out, run->count);
    ttap__out_varint(&out, run->filtered);
    ttap__out_varint(&out, a->delivered);
    ttap__out_varint(&out, a->filtered);
    ttap__out_varint(&out, lost_of(a));
    ttap__out_varint(&out, a->sampled_out);
    size_t front_bytes = ttap__out_bytes(&out);
    ttap__block_head(front, TTAP__BLOCK_EVENTS, front_bytes - TTAP__WIRE_BLOCK_HEAD_BYTES + run->head_bytes + run->event_bytes);
    struct ttap__piece pieces[] = {{front, front_bytes}, {run->head, run->head_bytes}, {run->events, run->event_bytes}};
    return put(sub, pieces, 3, PUT_EVENTS);
}

void ttap__sub_events(struct ttap__sub *sub, struct ttap__stream_id id, uint64_t first_seq, const struct ttap__run *run)
{
    if (!sub->begun || sub->full || (!run->count && !run->filtered))
        return;
    struct ttap__account *a = account_of(sub, id, first_seq);
    if (!a) {
        sub->merged.lost[TTAP__LOSS_QUEUE] += run->count;
        sub->merged.filtered += run->filtered;
        show(sub, 0, run->filtered, run->count, 0);
        return;
    }
    if (tell_pending(sub, id, a, PUT_EVENTS) && send_thread(sub, id, a) && send_names(sub) && send_stacks(sub) &&
        send_events(sub, id, a, first_seq, run)) {
        a->delivered += run->count;
        a->filtered += run->filtered;
        show(sub, run->count, run->filtered, 0, 0);
        return;
    }
    lose_to_queue(a, first_seq, run->count, run->filtered, run->base_ticks, run->last_ticks);
    show(sub, 0, run->filtered, run->count, 0);
}

void ttap__sub_lost(struct ttap__sub *sub, struct ttap__stream_id id, enum ttap__loss why, uint64_t first_seq, uint64_t lost, uint64_t from_ticks,
                    uint64_t to_ticks)
{
    if (!sub->begun || sub->full)
        return;
    show(sub, 0, 0, lost, 0);
    if (!id.uid) { /* threads without a record: no stream of their own */
        sub->merged.lost[why] += lost;
        send_loss(sub, 0, 0, why, first_seq, lost, 0, from_ticks, to_ticks, PUT_CONTROL);
        return;
    }
    struct ttap__account *a = account_of(sub, id, first_seq);
    if (!a) {
        sub->merged.lost[why] += lost; /* no memory for its account */
        return;
    }
    /* Not out of the reserve: while the reader stands still there may be one each tick, and the reserve is for what tells of all of them. */
    if (tell_pending(sub, id, a, PUT_EVENTS) && send_thread(sub, id, a) &&
        send_loss(sub, number_of(id), id.level, why, first_seq, lost, 0, from_ticks, to_ticks, PUT_EVENTS)) {
        a->lost[why] += lost;
        return;
    }
    lose_to_queue(a, first_seq, lost, 0, from_ticks, to_ticks); /* not even the record of the loss fits */
}

bool ttap__sub_knows(struct ttap__sub *sub, struct ttap__stream_id id)
{
    struct ttap__accounts *accounts;
    uint32_t at = account_place(sub, id, &accounts);
    return at < accounts->room && accounts->row[at].uid == id.uid;
}

void ttap__sub_sampled_out(struct ttap__sub *sub, struct ttap__stream_id id, uint64_t next_seq, uint64_t events)
{
    if (!sub->begun || (sub->full && !ttap__sub_knows(sub, id))) /* but just after the byte limit: told after the events they fell between */
        return;
    struct ttap__account *a = account_of(sub, id, next_seq);
    (a ? a : &sub->merged)->sampled_out += events;
    show(sub, 0, 0, 0, events);
}

static void add_to_sums(struct ttap__sums *sums, const struct ttap__account *a)
{
    sums->rows++;
    sums->events += a->delivered + a->filtered + lost_of(a);
    sums->delivered += a->delivered;
    sums->filtered += a->filtered;
    sums->sampled_out += a->sampled_out;
    for (int i = 1; i <= TTAP__LOSS_REASONS; i++)
        sums->lost[i] += a->lost[i];
}

static bool send_account(struct ttap__sub *sub, uint64_t uid, unsigned level, const struct ttap__account *a, enum put_how how)
{
    unsigned char block[192];
    struct ttap__out out = ttap__out_of(block, sizeof(block));
    size_t opened = ttap__out_block_open(&out, TTAP__BLOCK_ACCOUNT);
    ttap__out_varint(&out, 1);
    ttap__out_varint(&out, uid);
    ttap__out_u8(&out, level);
    ttap__out_varint(&out, a->start_seq);
    ttap__out_varint(&out, a->start_seq + a->delivered + a->filtered + lost_of(a));
    ttap__out_varint(&out, a->delivered);
    ttap__out_varint(&out, a->filtered);
    for (int i = 1; i <= TTAP__LOSS_REASONS; i++)
        ttap__out_varint(&out, a->lost[i]);
    ttap__out_varint(&out, a->sampled_out);
    ttap__out_block_close(&out, opened);
    if (!put_block(sub, &out, how))
        return false;
    add_to_sums(&sub->sums, a);
    return true;
}

static bool is_empty(const struct ttap__account *a)
{
    return !a->delivered && !a->filtered && !a->sampled_out && !lost_of(a);
}

static void merge(struct ttap__account *into, const struct ttap__account *a)
{
    into->delivered += a->delivered;
    into->filtered += a->filtered;
    into->sampled_out += a->sampled_out;
    for (int i = 1; i <= TTAP__LOSS_REASONS; i++)
        into->lost[i] += a->lost[i];
}

static void close_account(struct ttap__sub *sub, struct ttap__stream_id id, struct ttap__account *a, enum put_how how)
{
    if (is_empty(a))
        return;
    bool told = tell_pending(sub, id, a, how) && (send_thread(sub, id, a) || how == PUT_ALWAYS) && send_account(sub, number_of(id), id.level, a, how);
    if (!told)
        merge(&sub->merged, a); /* threads come and go while the reader stands still: keep the sums at least */
}

void ttap__sub_stream_over(struct ttap__sub *sub, struct ttap__stream_id id)
{
    struct ttap__accounts *accounts;
    uint32_t at = account_place(sub, id, &accounts);
    if (at >= accounts->room || accounts->row[at].uid != id.uid)
        return;
    close_account(sub, id, &accounts->row[at], PUT_CONTROL);
    if (id.level < TTAP__LEVEL_SCHED && accounts->row[at].name_version)
        sub->named[sub->named_at++ % TTAP__NAMED] = number_of(id);
    accounts->row[at].uid = 0;
}

/* ---- Begin and end ---- */

static void out_text(struct ttap__out *out, const char *text)
{
    ttap__out_string(out, text, strlen(text));
}

/* What could and could not be recorded, and what would change it. */
static void write_source_note(struct ttap__sub *sub, struct ttap__out *out, const struct ttap__source *source)
{
    char key[64], why[256] = "", enable[256] = "", value[600];
    bool on = false;
    source->status(&on, why, enable, sizeof(why));
    snprintf(key, sizeof(key), "source.%s", source->name);
    if (sub->opts.groups & source->groups)
        snprintf(value, sizeof(value), "%s%s%s%s%s", on ? "on" : "off", why[0] ? ": " : "", why, enable[0] ? "; " : "", enable);
    else
        snprintf(value, sizeof(value), "off: not asked for");
    out_text(out, key);
    out_text(out, value);
}

static void write_notes(struct ttap__sub *sub, struct ttap__out *out)
{
    uint32_t sources = 0;
    while (ttap__source_at(sources))
        sources++;
    ttap__out_varint(out, 2 + sources);
    out_text(out, "source.annotations");
    out_text(out, "on");
    out_text(out, "source.hooks");
    out_text(out, ttap__hooks_present() ? "on" : "off: libtracetap-preload is not loaded");
    for (uint32_t i = 0; i < sources; i++)
        write_source_note(sub, out, ttap__source_at(i));
}

static void write_header(struct ttap__sub *sub, struct ttap__out *out)
{
    char exe[256];
    size_t opened = ttap__out_block_open(out, TTAP__BLOCK_HEADER);
    ttap__out_u8(out, (unsigned)ttap__clock_kind);
    ttap__out_varint(out, ttap__clock_ticks_per_second());
    ttap__clock_pair(&sub->start);
    ttap__out_varint(out, sub->start.ticks);
    ttap__out_varint(out, sub->start.mono_ns);
    ttap__out_varint(out, sub->start.wall_ns);
    ttap__out_varint(out, sub->opts.duration_ns);
    ttap__out_varint(out, sub->opts.groups);
    ttap__out_varint(out, (uint64_t)ttap__traced_pid());
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);
    ttap__out_varint(out, cpus > 0 ? (uint64_t)cpus : 1);
    ttap__out_varint(out, ttap__budget_bytes());
    ttap__out_string(out, exe, ttap__traced_name(exe, sizeof(exe)));
    out_text(out, sub->sampling.text);
    out_text(out, "tracetap " TTAP_VERSION_STRING);
    ttap__out_kind_table(out);
    write_notes(sub, out);
    ttap__out_block_close(out, opened);
}

/* Read while its owner may be changing it: the same id before and after means one task, docs at set_current(). False: it would not hold still. */
bool ttap__current_task_of(const struct ttap__slot *slot, struct ttap_task *task)
{
    for (int tries = 0; tries < 8; tries++) {
        *task = ttap__slot_task(slot);
        if (ttap__load(&slot->task[0]) == task->id) /* release: set_current() */
            return true;
    }
    return false;
}

/* The current task of a thread, as a TASKS row. False: none, or it would not hold still. */
static bool write_current_task(struct ttap__sub *sub, struct ttap__out *out, const struct ttap__slot *slot)
{
    struct ttap_task task;
    if (!ttap__current_task_of(slot, &task) || !task.id || !ttap__keep_matches(sub->view.keep, task.draw, task.root_kind))
        return false;
    ttap__out_varint(out, task.id);
    ttap__out_varint(out, task.parent);
    ttap__out_varint(out, task.kind);
    ttap__out_varint(out, task.start_ticks);
    ttap__out_varint(out, ttap__slot_number((uint32_t)(slot - ttap__arena_here()->slot), ttap__load(&slot->uid)));
    return true;
}

static void send_tasks(struct ttap__sub *sub)
{
    const struct ttap__arena *arena = ttap__arena_here();
    uint32_t made = ttap__slots_made(arena);
    for (uint32_t at = 0; at < made;) {
        unsigned char rows[BLOCK_BYTES], block[BLOCK_BYTES + 32];
        struct ttap__out row = ttap__out_of(rows, sizeof(rows));
        uint32_t count = 0;
        for (; at < made && row.end - row.at > 64; at++)
            if (ttap__load_acquire(&arena->slot[at].state) == TTAP__SLOT_LIVE)
                count += write_current_task(sub, &row, &arena->slot[at]);
        if (!count)
            continue;
        struct ttap__out out = ttap__out_of(block, sizeof(block));
        size_t opened = ttap__out_block_open(&out, TTAP__BLOCK_TASKS);
        ttap__out_varint(&out, count);
        ttap__out_bytes_of(&out, rows, ttap__out_bytes(&row));
        ttap__out_block_close(&out, opened);
        if (send_names(sub)) /* a kind that came up since; without room for its name none for what uses it */
            put_block(sub, &out, PUT_CONTROL);
    }
}

/* ---- Calls that have not returned ----
 * A hooked call is told when it returns; who has not by the end of the window is still in it. */

#define CALL_GROUPS (TTAP_GROUP_LOCK | TTAP_GROUP_NET | TTAP_GROUP_FILE | TTAP_GROUP_SLEEP)

static const struct {
    const char *name;
    unsigned kind;
} ops[] = {
#define TTAP_OP(number, NAME, name, KIND) [number] = {name, TTAP__##KIND},
#include "ops.def"
#undef TTAP_OP
};

static bool is_socket(int pid, uint64_t object)
{
    char path[64], link[8];
    snprintf(path, sizeof(path), "/proc/%d/fd/%u", pid, (unsigned)(object >> 48 ? object >> 16 : object & 0xffff));
    return readlink(path, link, sizeof(link)) == sizeof(link) && memcmp(link, "socket:[", sizeof(link)) == 0;
}

struct noted_call {
    uint64_t op, object, frame, start_ticks;
};

/* Read while its owner may return from it and make another: the same before and after means one call, or one just like it. */
static bool read_call(const struct ttap__slot *slot, struct noted_call *out)
{
    out->op = ttap__load_acquire(&slot->call); /* release: ttap__call_begin() */
    out->start_ticks = ttap__load(&slot->call_start);
    out->frame = ttap__load(&slot->call_frame);
    out->object = ttap__load_acquire(&slot->call_object);
    return out->op && ttap__load(&slot->call) == out->op && ttap__load(&slot->call_start) == out->start_ticks;
}

/* Calls that nobody timed were made before the window, or since the gate was closed behind it. Which, the slots do not say: so they are noted when a
 * window begins, and those that are over are forgotten while the gate is still open. What is left is pending if no event tells of it, whether or not
 * it has returned since the gate was closed. */
static struct {
    uint64_t mark, told, op, object;
} untimed[TTAP__THREADS_MAX]; /* by slot; mark 0: none. Virtual until used */

/* The gate's epoch before it was closed: what returned late did so behind it. */
static uint32_t open_epoch;

static uint64_t mark_of(const struct ttap__slot *slot, const struct noted_call *call)
{
    uint64_t words[] = {ttap__load(&slot->uid), call->op, call->object, call->frame}, mixed = 1;
    for (size_t i = 0; i < sizeof(words) / sizeof(words[0]); i++)
        mixed = (mixed ^ words[i]) * UINT64_C(0x9e3779b97f4a7c15), mixed ^= mixed >> 32;
    return mixed | 1;
}

/* 0: its thread is in no call, or in one that was timed. */
static uint64_t untimed_now(const struct ttap__slot *slot, struct noted_call *call)
{
    return ttap__load_acquire(&slot->state) == TTAP__SLOT_LIVE && read_call(slot, call) && !call->start_ticks ? mark_of(slot, call) : 0;
}

void ttap__untimed_calls_note(void)
{
    const struct ttap__arena *arena = ttap__arena_here();
    uint32_t made = ttap__slots_made(arena);
    open_epoch = (uint32_t)(ttap__load(&ttap_gate) >> TTAP__GATE_EPOCH_SHIFT);
    for (uint32_t i = 0; i < made; i++) {
        struct noted_call call = {0};
        untimed[i].told = ttap__load(&arena->slot[i].untimed_told); /* before the call, so that it cannot be told unseen */
        untimed[i].mark = untimed_now(&arena->slot[i], &call);
        untimed[i].op = call.op;
        untimed[i].object = call.object;
    }
}

void ttap__untimed_calls_look(void)
{
    const struct ttap__arena *arena = ttap__arena_here();
    uint32_t made = ttap__slots_made(arena);
    open_epoch = (uint32_t)(ttap__load(&ttap_gate) >> TTAP__GATE_EPOCH_SHIFT);
    for (uint32_t i = 0; i < made; i++) {
        struct noted_call call;
        if (untimed[i].mark && untimed[i].mark != untimed_now(&arena->slot[i], &call))
            untimed[i].mark = 0;
    }
}

static bool returned_late(const struct ttap__slot *slot, struct noted_call *out)
{
    uint64_t late = ttap__load_acquire(&slot->late_call); /* release: note_return() in hooks/call.c */
    *out = (struct noted_call){.op = (uint32_t)late, .object = ttap__load(&slot->late_object), .start_ticks = ttap__load(&slot->late_start)};
    return out->op && (int32_t)((uint32_t)(late >> 32) - open_epoch) > 0;
}

/* The call that its thread was in when the gate was closed, or when it was ended with its process. */
static bool pending_call(uint32_t index, const struct ttap__slot *slot, struct noted_call *out)
{
    if ((read_call(slot, out) && out->start_ticks) || returned_late(slot, out))
        return true;
    struct noted_call was = {.op = untimed[index].op, .object = untimed[index].object};
    struct noted_call now;
    *out = was;
    if (!untimed[index].mark || untimed[index].told != ttap__load(&slot->untimed_told))
        return false;
    return ttap__load_acquire(&slot->state) == TTAP__SLOT_LIVE || (read_call(slot, &now) && mark_of(slot, &now) == untimed[index].mark);
}

static bool write_pending_call(struct ttap__out *out, uint32_t index, const struct ttap__slot *slot)
{
    struct noted_call call;
    if (!pending_call(index, slot, &call) || call.op >= sizeof(ops) / sizeof(ops[0]) || !ops[call.op].name)
        return false;
    uint64_t op = call.op, object = call.object, start_ticks = call.start_ticks;
    if (ops[op].kind == TTAP__LOCK_CALL)
        ttap__modules_look(ttap__load(&slot->pid), false); /* a program that only waits tells of no thread before */
    ttap__out_varint(out, ttap__slot_number(index, ttap__load(&slot->uid)));
    unsigned kind = ops[op].kind == TTAP__FILE_CALL && is_socket(ttap__load(&slot->pid), object) ? TTAP__NET_CALL : ops[op].kind;
    ttap__out_varint(out, kind);
    ttap__out_varint(out, start_ticks);
    ttap__out_varint(out, ttap_name(ops[op].name));
    ttap__out_varint(out, object);
    return true;
}

static void send_calls(struct ttap__sub *sub, const unsigned char *rows, size_t len_bytes, uint32_t count)
{
    unsigned char block[BLOCK_BYTES + 32];
    struct ttap__out out = ttap__out_of(block, sizeof(block));
    size_t opened = ttap__out_block_open(&out, TTAP__BLOCK_CALLS);
    ttap__out_varint(&out, count);
    ttap__out_bytes_of(&out, rows, len_bytes);
    ttap__out_block_close(&out, opened);
    send_stacks(sub);
    if (send_names(sub)) /* as above */
        put_block(sub, &out, PUT_CONTROL);
}

static void send_pending_calls(struct ttap__sub *sub)
{
    const struct ttap__arena *arena = ttap__arena_here();
    uint32_t made = ttap__slots_made(arena);
    for (uint32_t at = 0; at < made;) {
        unsigned char rows[BLOCK_BYTES];
        struct ttap__out row = ttap__out_of(rows, sizeof(rows));
        uint32_t count = 0;
        for (; at < made && row.end - row.at > 64; at++)
            if (ttap__load_acquire(&arena->slot[at].state) == TTAP__SLOT_LIVE)
                count += write_pending_call(&row, at, &arena->slot[at]);
        if (count)
            send_calls(sub, rows, ttap__out_bytes(&row), count);
    }
}

/* A source may have something of this thread that has not been told yet: then its row, which comes later, is not the first either. */
static bool told_by_source(const struct ttap__sub *sub, uint64_t number)
{
    for (uint32_t i = 0; i < TTAP__SOURCE_LEVELS; i++)
        for (uint32_t at = 0; at < sub->source_accounts[i].room; at++)
            if (sub->source_accounts[i].row[at].uid == number && sub->source_accounts[i].row[at].name_version)
                return true;
    return false;
}

void ttap__sub_last_call(struct ttap__sub *sub, uint32_t index)
{
    const struct ttap__slot *slot = &ttap__arena_here()->slot[index];
    uint64_t number = ttap__slot_number(index, ttap__load(&slot->uid));
    unsigned char rows[64];
    struct ttap__out row = ttap__out_of(rows, sizeof(rows));
    if (!(sub->opts.groups & CALL_GROUPS) || !write_pending_call(&row, index, slot))
        return;
    if (told_by_slot(sub, number) || told_by_source(sub, number) ||
        put_thread(sub, number, slot->pid, slot->tid, slot->comm, strnlen(slot->comm, sizeof(slot->comm))))
        send_calls(sub, rows, ttap__out_bytes(&row), 1);
}

bool ttap__sub_begin(struct ttap__sub *sub, uint64_t drainer_cpu_ns)
{
    unsigned char buffer[BLOCK_BYTES];
    struct ttap__out out = ttap__out_of(buffer, sizeof(buffer));
    ttap__out_preamble(&out);
    write_header(sub, &out);
    if (!put_block(sub, &out, PUT_ALWAYS))
        return false;
    send_names(sub);
    if (sub->opts.groups & TTAP_GROUP_TASK)
        send_tasks(sub);
    sub->drainer_cpu_start_ns = drainer_cpu_ns;
    sub->end_mono_ns = sub->opts.duration_ns ? sub->start.mono_ns + sub->opts.duration_ns : UINT64_MAX;
    sub->clock_step_ns = 10000000; /* pairs at 10 and 100 ms, so that early times are as good as late ones, then each second */
    sub->next_clock_ns = sub->start.mono_ns + sub->clock_step_ns;
    pthread_mutex_lock(&sub->mutex);
    sub->shown.started_unix_ns = sub->start.wall_ns;
    pthread_mutex_unlock(&sub->mutex);
    return true;
}

static void send_clock(struct ttap__sub *sub, const struct ttap__clock_pair *pair, enum put_how how)
{
    unsigned char block[64];
    struct ttap__out out = ttap__out_of(block, sizeof(block));
    size_t opened = ttap__out_block_open(&out, TTAP__BLOCK_CLOCK);
    ttap__out_varint(&out, pair->ticks);
    ttap__out_varint(&out, pair->mono_ns);
    ttap__out_varint(&out, pair->wall_ns);
    ttap__out_block_close(&out, opened);
    put_block(sub, &out, how);
}

void ttap__sub_clock(struct ttap__sub *sub, uint64_t now_ns)
{
    if (now_ns < sub->next_clock_ns)
        return;
    struct ttap__clock_pair pair;
    ttap__clock_pair(&pair);
    send_clock(sub, &pair, PUT_CONTROL);
    sub->clock_step_ns = sub->clock_step_ns < 100000000u ? sub->clock_step_ns * 10 : 1000000000u;
    sub->next_clock_ns = now_ns + sub->clock_step_ns;
}

static bool send_trailer(struct ttap__sub *sub, const struct ttap__clock_pair *end, uint64_t drainer_cpu_ns)
{
    unsigned char block[256];
    struct ttap__out out = ttap__out_of(block, sizeof(block));
    size_t opened = ttap__out_block_open(&out, TTAP__BLOCK_TRAILER);
    const struct ttap__sums *sums = &sub->sums;
    ttap__out_varint(&out, sub->why);
    ttap__out_varint(&out, end->ticks);
    ttap__out_varint(&out, end->mono_ns);
    ttap__out_varint(&out, end->wall_ns);
    ttap__out_varint(&out, sums->rows);
    ttap__out_varint(&out, sums->events);
    ttap__out_varint(&out, sums->delivered);
    ttap__out_varint(&out, sums->filtered);
    for (int i = 1; i <= TTAP__LOSS_REASONS; i++)
        ttap__out_varint(&out, sums->lost[i]);
    ttap__out_varint(&out, sums->sampled_out);
    ttap__out_varint(&out, drainer_cpu_ns - sub->drainer_cpu_start_ns);
    ttap__out_varint(&out, sub->blocks);
    ttap__out_varint(&out, sub->queue.put_bytes);
    ttap__out_block_close(&out, opened);
    return put_block(sub, &out, PUT_ALWAYS);
}

static void free_accounts(struct ttap__sub *sub)
{
    free(sub->accounts.row);
    sub->accounts = (struct ttap__accounts){NULL, 0};
    for (uint32_t i = 0; i < TTAP__SOURCE_LEVELS; i++) {
        free(sub->source_accounts[i].row);
        sub->source_accounts[i] = (struct ttap__accounts){NULL, 0};
    }
}

static void close_source_accounts(struct ttap__sub *sub, uint32_t i)
{
    for (uint32_t at = 0; at < sub->source_accounts[i].room; at++) {
        struct ttap__account *a = &sub->source_accounts[i].row[at];
        if (a->uid)
            close_account(sub, (struct ttap__stream_id){at, TTAP__LEVEL_SCHED + i, a->uid}, a, PUT_ALWAYS);
    }
}

void ttap__sub_finish(struct ttap__sub *sub, uint64_t drainer_cpu_ns)
{
    send_names(sub);
    if (sub->opts.groups & CALL_GROUPS)
        send_pending_calls(sub);
    for (uint32_t at = 0; at < sub->accounts.room; at++) {
        struct ttap__account *a = &sub->accounts.row[at];
        if (a->uid)
            close_account(sub, (struct ttap__stream_id){at / 2, at % 2, a->uid}, a, PUT_ALWAYS);
    }
    for (uint32_t i = 0; i < TTAP__SOURCE_LEVELS; i++)
        close_source_accounts(sub, i);
    /* Without memory for the row of what has no row of its own there is no trailer either: it says that nothing is missing. */
    bool told = is_empty(&sub->merged) || send_account(sub, 0, 0, &sub->merged, PUT_ALWAYS);
    struct ttap__clock_pair end;
    ttap__clock_pair(&end);
    send_clock(sub, &end, PUT_ALWAYS);
    pthread_mutex_lock(&sub->mutex);
    if (!sub->why)
        sub->why = TTAP__END_WINDOW;
    pthread_mutex_unlock(&sub->mutex);
    bool whole = told && send_trailer(sub, &end, drainer_cpu_ns);
    free_accounts(sub);
    pthread_mutex_lock(&sub->mutex);
    sub->cut = !whole;
    sub->phase = SUB_DRAINING;
    sub->shown.elapsed_ns = end.mono_ns - sub->start.mono_ns;
    pthread_cond_broadcast(&sub->changed);
    pthread_mutex_unlock(&sub->mutex);
}

/* Something a waiting reader should see. A kept capture is news only when it is whole. */
static bool has_news(const struct ttap__sub *sub)
{
    return sub->phase == SUB_DRAINING || (!sub->opts.keep && sub->queue.put_bytes > sub->queue.taken_bytes);
}

/* Worth a wake: the end, much, or what has lain for long enough. */
static bool is_due(const struct ttap__sub *sub, uint64_t now_ns)
{
    return sub->phase == SUB_DRAINING || sub->queue.put_bytes - sub->queue.taken_bytes >= ttap__budget_bytes() / TTAP__TELL_SHARE ||
           now_ns >= sub->tell_ns;
}

void ttap__sub_notify(struct ttap__sub *sub, uint64_t now_ns)
{
    pthread_mutex_lock(&sub->mutex);
    bool tell = sub->waiting && has_news(sub) && is_due(sub, now_ns);
    if (tell) {
        sub->waiting = false;
        sub->tell_ns = now_ns + ttap__patience_ns(now_ns - sub->start.mono_ns);
        pthread_cond_broadcast(&sub->changed);
    }
    pthread_mutex_unlock(&sub->mutex);
    if (tell && sub->opts.ready)
        sub->opts.ready(sub->opts.arg);
}

/* ---- The reader's side ---- */

/* What is on request only is not in "all". */
uint64_t ttap__sub_groups(const struct ttap__sub_opts *opts)
{
    uint64_t on_request = (opts->samples_hz ? TTAP_GROUP_SAMPLE : 0) | (opts->alloc_sample_bytes ? TTAP_GROUP_ALLOC_SAMPLE : 0);
    return (opts->groups & TTAP__GATE_GROUPS & ~STACK_GROUPS) | on_request;
}

int ttap__sub_new(const struct ttap__sub_opts *opts, struct ttap__pool *pool, struct ttap__sub **out)
{
    struct ttap__sub *sub = calloc(1, sizeof(*sub));
    if (!sub)
        return -ENOMEM;
    sub->opts = *opts;
    sub->opts.groups = ttap__sub_groups(opts);
    sub->opts.sample = NULL; /* parsed now; the caller's string need not live */
    int error = 0;
    if (opts->sample)
        error = ttap__sampling_parse(opts->sample, &sub->sampling, NULL);
    else
        ttap__sampling_default(&sub->sampling);
    if (error) {
        free(sub);
        return error;
    }
    sub->view = (struct ttap__view){sub->opts.groups, &sub->sampling.keep};
    sub->shown.duration_ns = opts->duration_ns;
    sub->shown.groups = sub->opts.groups;
    sub->waiting = opts->keep; /* nobody reads a kept capture before it ends: tell when it does */
    pthread_mutex_init(&sub->mutex, NULL);
    pthread_condattr_t attr;
    pthread_condattr_init(&attr);
    pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
    pthread_cond_init(&sub->changed, &attr);
    pthread_condattr_destroy(&attr);
    ttap__queue_init(&sub->queue, pool, opts->keep);
    *out = sub;
    return 0;
}

void ttap__sub_free(struct ttap__sub *sub)
{
    ttap__queue_clear(&sub->queue);
    pthread_cond_destroy(&sub->changed);
    pthread_mutex_destroy(&sub->mutex);
    free_accounts(sub);
    free(sub);
}

size_t ttap__sub_read(struct ttap__sub *sub, void *buf, size_t max)
{
    unsigned char *to = buf;
    size_t copied = 0;
    pthread_mutex_lock(&sub->mutex);
    while (copied < max) {
        const void *from;
        size_t n = ttap__queue_front(&sub->queue, &from);
        if (!n)
            break;
        n = n < max - copied ? n : max - copied;
        /* Copied without the lock: a reader of low priority must not be preempted for long while the drainer waits for it. */
        pthread_mutex_unlock(&sub->mutex);
        memcpy(to + copied, from, n);
        pthread_mutex_lock(&sub->mutex);
        ttap__queue_drop(&sub->queue, n);
        copied += n;
    }
    if (!copied && max)
        sub->waiting = true;
    pthread_mutex_unlock(&sub->mutex);
    return copied;
}

size_t ttap__sub_peek(struct ttap__sub *sub, uint64_t offset, void *buf, size_t max)
{
    pthread_mutex_lock(&sub->mutex);
    size_t n = ttap__queue_peek(&sub->queue, offset, buf, max);
    pthread_mutex_unlock(&sub->mutex);
    return n;
}

static enum ttap__sub_state state_of(const struct ttap__sub *sub)
{
    if (sub->phase != SUB_DRAINING)
        return TTAP__SUB_RECORDING;
    bool all_read = sub->queue.taken_bytes == sub->queue.put_bytes;
    return all_read && !sub->opts.keep ? TTAP__SUB_ENDED : TTAP__SUB_DRAINING;
}

enum ttap__sub_state ttap__sub_state(struct ttap__sub *sub)
{
    pthread_mutex_lock(&sub->mutex);
    enum ttap__sub_state state = state_of(sub);
    pthread_mutex_unlock(&sub->mutex);
    return state;
}

bool ttap__sub_wait(struct ttap__sub *sub, int timeout_ms)
{
    uint64_t deadline_ns = ttap__mono_ns() + (uint64_t)(timeout_ms > 0 ? timeout_ms : 0) * 1000000u;
    struct timespec deadline = {(time_t)(deadline_ns / 1000000000u), (long)(deadline_ns % 1000000000u)};
    int error = 0;
    pthread_mutex_lock(&sub->mutex);
    while (!error && !has_news(sub)) {
        sub->waiting = true;
        error = timeout_ms < 0 ? pthread_cond_wait(&sub->changed, &sub->mutex) : pthread_cond_timedwait(&sub->changed, &sub->mutex, &deadline);
    }
    pthread_mutex_unlock(&sub->mutex);
    return !error;
}

void ttap__sub_stop(struct ttap__sub *sub, enum ttap__end why)
{
    pthread_mutex_lock(&sub->mutex);
    if (!sub->why)
        sub->why = why;
    pthread_mutex_unlock(&sub->mutex);
    ttap__engine_poke();
}

void ttap__sub_info(struct ttap__sub *sub, struct ttap__sub_info *out)
{
    pthread_mutex_lock(&sub->mutex);
    *out = sub->shown;
    out->state = state_of(sub);
    out->why = sub->phase == SUB_DRAINING ? sub->why : TTAP__END_NONE;
    out->bytes = sub->queue.put_bytes;
    out->queued_bytes = sub->opts.keep ? 0 : sub->queue.put_bytes - sub->queue.taken_bytes;
    if (sub->phase == SUB_RECORDING)
        out->elapsed_ns = ttap__mono_ns() - sub->start.mono_ns;
    pthread_mutex_unlock(&sub->mutex);
}
