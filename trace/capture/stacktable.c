/* stacktable.c - see stacktable.h. */
#include "stacktable.h"

#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "elf_file.h"
#include "engine.h"
#include "stacks.h"

#define BUCKETS 8192u /* a power of two: two stacks in each at most, on average */
#define PROCESSES_MAX 1024u
#define RANGES_MAX 16384u          /* executable mappings of one process; one with more has generated code, which has no names anyway */
#define READ_AGAIN_NS 100000000u   /* not sooner, for an address that was not known */
#define READ_ANYWAY_NS 1000000000u /* libraries come and go */

struct range {
    uint64_t start, end, offset;
    uint32_t module;
};

struct process {
    int pid;
    uint64_t read_ns; /* 0: never */
    struct range *range;
    uint32_t count, room;
};

static struct {
    struct ttap__stack_entry *stack; /* [number - 1] */
    uint32_t stacks, stacks_room;
    uint64_t *frame;
    uint32_t frames, frames_room;
    uint32_t *bucket;            /* number of the first; BUCKETS of them */
    struct ttap__module *module; /* [number - 1] */
    uint32_t modules, modules_room;
    struct ttap__mapped *mapped; /* [number - 1] */
    uint32_t mappings, mapped_room;
    struct process *process;
    uint32_t processes, processes_room, last;
    uint64_t untold, taken; /* taken: bytes of the budget */
} table;

/* Room for one more of @size bytes. */
static bool one_more(void **array, uint32_t *room, uint32_t count, uint32_t more, uint32_t max, size_t size)
{
    if (count + more <= *room)
        return true;
    uint32_t larger = *room ? *room * 2 : 64;
    while (larger < count + more)
        larger *= 2;
    if (count + more > max || !ttap__budget_take((larger - *room) * size))
        return false;
    void *grown = realloc(*array, larger * size);
    if (!grown) {
        ttap__budget_give((larger - *room) * size);
        return false;
    }
    table.taken += (larger - *room) * size;
    *array = grown;
    *room = larger;
    return true;
}

/* ---- Modules ---- */

/* Memory under this name is not a file, or not that file any more. */
static bool is_file(const char *path)
{
    static const char deleted[] = " (deleted)";
    size_t len = strlen(path);
    return path[0] == '/' && (len < sizeof(deleted) || strcmp(path + len - (sizeof(deleted) - 1), deleted) != 0);
}

static void read_build_id(struct ttap__module *module, int pid)
{
    char path[4096 + 32];
    struct ttap__elf_bytes file;
    if (!is_file(module->path))
        return;
    snprintf(path, sizeof(path), "/proc/%d/root%s", pid, module->path); /* as that process sees it */
    int fd = ttap__elf_open(path, &file);
    if (fd < 0)
        fd = ttap__elf_open(module->path, &file);
    if (fd >= 0)
        module->build_id_bytes = (uint8_t)ttap__elf_build_id(&file, module->build_id);
    ttap__elf_close(fd);
}

static bool is_same(const struct ttap__module *module, const struct range *range, const char *path)
{
    return module->start == range->start && module->end == range->end && module->offset == range->offset && strcmp(module->path, path) == 0;
}

/* 0: no room. */
static uint32_t module_number(const struct range *range, const char *path, int pid)
{
    for (uint32_t i = 0; i < table.modules; i++)
        if (is_same(&table.module[i], range, path))
            return i + 1;
    size_t bytes = strlen(path) + 1;
    if (!one_more((void **)&table.module, &table.modules_room, table.modules, 1, TTAP__MODULES_MAX, sizeof(*table.module)) ||
        !ttap__budget_take(bytes))
        return 0;
    char *copy = malloc(bytes);
    if (!copy) {
        ttap__budget_give(bytes);
        return 0;
    }
    table.taken += bytes;
    memcpy(copy, path, bytes);
    struct ttap__module *module = &table.module[table.modules++];
    *module = (struct ttap__module){.start = range->start, .end = range->end, .offset = range->offset, .path = copy};
    read_build_id(module, pid);
    return table.modules;
}

/* "START-END PERMS OFFSET DEV INODE   PATH" of an executable mapping. */
static bool parse_line(char *line, struct range *range, const char **path)
{
    char perms[5];
    int at = 0;
    if (sscanf(line, "%" SCNx64 "-%" SCNx64 " %4s %" SCNx64 " %*s %*s %n", &range->start, &range->end, perms, &range->offset, &at) < 4 || !at ||
        perms[2] != 'x')
        return false;
    line[strcspn(line, "\n")] = 0;
    *path = line + at;
    return true;
}

/* Each once. Those of a process that is looked at for the first time are all new. */
static void note_mapped(uint32_t pid, uint32_t module, bool first)
{
    for (uint32_t i = first ? table.mappings : 0; i < table.mappings; i++)
        if (table.mapped[i].module == module && table.mapped[i].pid == pid)
            return;
    if (one_more((void **)&table.mapped, &table.mapped_room, table.mappings, 1, TTAP__MAPPED_MAX, sizeof(*table.mapped)))
        table.mapped[table.mappings++] = (struct ttap__mapped){pid, module};
}

static void add_range(struct process *process, struct range *range, const char *path, bool first)
{
    if (!one_more((void **)&process->range, &process->room, process->count, 1, RANGES_MAX, sizeof(*process->range)))
        return;
    range->module = path[0] ? module_number(range, path, process->pid) : 0;
    process->range[process->count++] = *range;
    if (range->module)
        note_mapped((uint32_t)process->pid, range->module, first);
}

static void read_maps(struct process *process, uint64_t now_ns)
{
    char path[32], *line = NULL;
    const char *mapped;
    size_t room = 0;
    struct range range = {0};
    snprintf(path, sizeof(path), "/proc/%d/maps", process->pid);
    FILE *maps = fopen(path, "re");
    bool first = !process->read_ns;
    process->read_ns = now_ns;
    if (!maps)
        return; /* it is gone: what was known still tells about its last stacks */
    process->count = 0;
    while (getline(&line, &room, maps) > 0)
        if (parse_line(line, &range, &mapped))
            add_range(process, &range, mapped, first);
    free(line);
    fclose(maps);
}

/* NULL: no room. */
static struct process *process_of(int pid)
{
    if (table.last < table.processes && table.process[table.last].pid == pid)
        return &table.process[table.last];
    for (table.last = 0; table.last < table.processes; table.last++)
        if (table.process[table.last].pid == pid)
            return &table.process[table.last];
    if (!one_more((void **)&table.process, &table.processes_room, table.processes, 1, PROCESSES_MAX, sizeof(*table.process)))
        return NULL;
    table.process[table.processes++] = (struct process){.pid = pid};
    return &table.process[table.last];
}

static const struct range *range_of(const struct process *process, uint64_t address)
{
    uint32_t low = 0, high = process->count;
    while (low < high) {
        uint32_t middle = low + (high - low) / 2;
        if (process->range[middle].end <= address)
            low = middle + 1;
        else
            high = middle;
    }
    return low < process->count && process->range[low].start <= address ? &process->range[low] : NULL;
}

static uint64_t frame_of(struct process *process, uint64_t address, uint64_t now_ns)
{
    const struct range *range = range_of(process, address);
    if (!range && now_ns - process->read_ns >= READ_AGAIN_NS) {
        read_maps(process, now_ns);
        range = range_of(process, address);
    }
    if (!range || !range->module)
        return TTAP__FRAME_OFFSET(address);
    return (uint64_t)range->module << 48 | TTAP__FRAME_OFFSET(address - range->start + range->offset);
}

/* ---- Stacks ---- */

static uint32_t hash_of(const uint64_t *frame, unsigned count, bool cut)
{
    uint64_t hash = count * 2 + cut;
    for (unsigned i = 0; i < count; i++)
        hash = (hash ^ frame[i]) * UINT64_C(0x9e3779b97f4a7c15), hash ^= hash >> 29;
    return (uint32_t)(hash >> 16);
}

static bool has_buckets(void)
{
    if (table.bucket)
        return true;
    if (!ttap__budget_take(BUCKETS * sizeof(*table.bucket)))
        return false;
    table.bucket = calloc(BUCKETS, sizeof(*table.bucket));
    if (!table.bucket)
        ttap__budget_give(BUCKETS * sizeof(*table.bucket));
    else
        table.taken += BUCKETS * sizeof(*table.bucket);
    return table.bucket != NULL;
}

static uint32_t number_of(const uint64_t *frame, unsigned count, bool cut)
{
    uint32_t hash = hash_of(frame, count, cut), *head = &table.bucket[hash % BUCKETS];
    for (uint32_t at = *head; at; at = table.stack[at - 1].next) {
        const struct ttap__stack_entry *e = &table.stack[at - 1];
        if (e->hash == hash && e->count == count && e->cut == cut && memcmp(table.frame + e->first, frame, count * sizeof(*frame)) == 0)
            return at;
    }
    if (!one_more((void **)&table.stack, &table.stacks_room, table.stacks, 1, TTAP__STACKS_MAX, sizeof(*table.stack)) ||
        !one_more((void **)&table.frame, &table.frames_room, table.frames, count, TTAP__STACK_FRAMES_TOTAL_MAX, sizeof(*table.frame)))
        return 0;
    memcpy(table.frame + table.frames, frame, count * sizeof(*frame));
    table.stack[table.stacks] = (struct ttap__stack_entry){table.frames, hash, *head, (uint16_t)count, cut};
    table.frames += count;
    return *head = ++table.stacks;
}

uint32_t ttap__stack_number(int pid, const uint64_t *pc, unsigned count, bool cut)
{
    if (!count)
        return 0; /* not known */
    uint64_t frame[TTAP__STACK_FRAMES_MAX], now_ns = ttap__mono_ns();
    struct process *process = process_of(pid);
    uint32_t number = 0;
    if (process && has_buckets() && count <= TTAP__STACK_FRAMES_MAX) {
        if (!process->read_ns || now_ns - process->read_ns >= READ_ANYWAY_NS)
            read_maps(process, now_ns);
        for (unsigned i = 0; i < count; i++)
            frame[i] = frame_of(process, ttap__load(&pc[i]), now_ns);
        number = number_of(frame, count, cut);
    }
    table.untold += !number;
    return number;
}

uint32_t ttap__stacks_made(void)
{
    return table.stacks;
}

const struct ttap__stack_entry *ttap__stack_at(uint32_t number, const uint64_t **frames)
{
    const struct ttap__stack_entry *e = &table.stack[number - 1];
    *frames = table.frame + e->first;
    return e;
}

uint32_t ttap__modules_made(void)
{
    return table.modules;
}

const struct ttap__module *ttap__module_at(uint32_t number)
{
    return &table.module[number - 1];
}

void ttap__modules_look(int pid, bool again)
{
    struct process *process = process_of(pid);
    uint64_t now_ns = ttap__mono_ns();
    if (process && (again || now_ns - process->read_ns >= READ_ANYWAY_NS))
        read_maps(process, now_ns);
}

uint32_t ttap__mapped_made(void)
{
    return table.mappings;
}

struct ttap__mapped ttap__mapped_at(uint32_t number)
{
    return table.mapped[number - 1];
}

uint64_t ttap__stacks_untold(void)
{
    return table.untold;
}

void ttap__stacks_forget(void)
{
    for (uint32_t i = 0; i < table.processes; i++)
        free(table.process[i].range);
    for (uint32_t i = 0; i < table.modules; i++)
        free(table.module[i].path);
    free(table.process);
    free(table.module);
    free(table.mapped);
    free(table.stack);
    free(table.frame);
    free(table.bucket);
    ttap__budget_give(table.taken);
    memset(&table, 0, sizeof(table));
}

void ttap__stacks_after_fork(void)
{
    memset(&table, 0, sizeof(table));
}
