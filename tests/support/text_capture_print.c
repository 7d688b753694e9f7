/* text_capture_print.c - from wire to text, every field said. */
#include "text_capture.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "reader.h"

enum { NAMES_MAX = 4096 };

struct printer {
    FILE *out;
    uint8_t before; /* type of the block before */
    struct {
        uint64_t id;
        char *text;
        size_t len;
    } names[NAMES_MAX];
    size_t names_count;
};

static unsigned long long llu(uint64_t value)
{
    return (unsigned long long)value;
}

static void print_quoted(FILE *out, const char *bytes, size_t len)
{
    putc('"', out);
    for (size_t i = 0; i < len; i++) {
        unsigned char c = (unsigned char)bytes[i];
        if (c == '"' || c == '\\')
            fprintf(out, "\\%c", c);
        else if (c == '\n')
            fputs("\\n", out);
        else if (c < 0x20 || c >= 0x7f)
            fprintf(out, "\\x%02x", c);
        else
            putc(c, out);
    }
    putc('"', out);
}

static void print_text(FILE *out, const char *key, struct ttap__text text)
{
    fprintf(out, " %s=", key);
    print_quoted(out, text.bytes, text.len);
}

/* By its text, where reading it back gives the same id; else by number. */
static void print_name(struct printer *printer, const char *key, uint64_t id)
{
    fprintf(printer->out, " %s=", key);
    for (size_t i = 0; id && i < printer->names_count; i++) {
        if (printer->names[i].id != id)
            continue;
        for (size_t first = 0; printer->names[i].len && first <= i; first++)
            if (printer->names[first].len == printer->names[i].len &&
                memcmp(printer->names[first].text, printer->names[i].text, printer->names[i].len) == 0) {
                if (printer->names[first].id != id)
                    break;
                print_quoted(printer->out, printer->names[i].text, printer->names[i].len);
                return;
            }
        break;
    }
    fprintf(printer->out, "#%llu", llu(id));
}

/* As many as there are lines of their word. */
static bool has_rows(uint8_t type)
{
    return type == TTAP__BLOCK_NAMES || type == TTAP__BLOCK_THREADS || type == TTAP__BLOCK_TASKS || type == TTAP__BLOCK_ACCOUNT ||
           type == TTAP__BLOCK_CALLS || type == TTAP__BLOCK_MODULES || type == TTAP__BLOCK_STACKS || type == TTAP__BLOCK_MAPPED;
}

static int on_block(void *arg, uint8_t type, uint64_t at_bytes, const uint8_t *payload, size_t len_bytes)
{
    struct printer *printer = arg;
    (void)at_bytes;
    if (type == printer->before && has_rows(type))
        fputs("next\n", printer->out);
    printer->before = type;
    if ((type > TTAP__BLOCK_TRAILER && !has_rows(type)) || type == 0) {
        fprintf(printer->out, "block type=%u hex=", type);
        for (size_t i = 0; i < len_bytes; i++)
            fprintf(printer->out, "%02x", payload[i]);
        putc('\n', printer->out);
    }
    return 0;
}

static const char *clock_name(unsigned clock, char buffer[16])
{
    static const char *const names[] = {"", "tsc", "mono", "cntvct"};
    if (clock >= 1 && clock <= 3)
        return names[clock];
    snprintf(buffer, 16, "%u", clock);
    return buffer;
}

static const struct {
    unsigned number;
    const char *name, *fields;
} known[] = {
#define TTAP_KIND(number, NAME, name, GROUP, fields, doc) {number, name, fields},
#include "events.def"
#undef TTAP_KIND
};

static bool text_is(struct ttap__text text, const char *expected)
{
    return text.len == strlen(expected) && memcmp(text.bytes, expected, text.len) == 0;
}

/* How many rows of the table are, in order, what an engine of this version writes: all of them, or 0. */
static size_t kinds_as_known(const struct ttap__header *header)
{
    size_t count = sizeof known / sizeof known[0];
    for (size_t i = 0; i < count; i++)
        if (i >= header->kinds_count || header->kinds[i].number != known[i].number || !text_is(header->kinds[i].name, known[i].name) ||
            !text_is(header->kinds[i].fields, known[i].fields))
            return 0;
    return count;
}

static int on_header(void *arg, const struct ttap__header *header)
{
    struct printer *printer = arg;
    char buffer[16];
    size_t first = kinds_as_known(header);
    fprintf(printer->out, "preamble major=%u minor=%u\n", header->major, header->minor);
    fprintf(printer->out,
            "header clock=%s ticks_per_second=%llu base_ticks=%llu base_mono_ns=%llu base_wall_ns=%llu duration_ns=%llu groups=%llu "
            "pid=%llu cpus=%llu budget_bytes=%llu",
            clock_name(header->clock, buffer), llu(header->ticks_per_second), llu(header->base_ticks), llu(header->base_mono_ns),
            llu(header->base_wall_ns), llu(header->duration_ns), llu(header->groups), llu(header->pid), llu(header->cpus), llu(header->budget_bytes));
    print_text(printer->out, "exe", header->exe);
    print_text(printer->out, "sample", header->sample);
    print_text(printer->out, "producer", header->producer);
    fputs(first ? "\n" : " kinds=listed\n", printer->out);
    for (size_t i = first; i < header->kinds_count; i++) {
        fprintf(printer->out, "kind %u", header->kinds[i].number);
        print_text(printer->out, "name", header->kinds[i].name);
        print_text(printer->out, "fields", header->kinds[i].fields);
        putc('\n', printer->out);
    }
    return 0;
}

static int on_note(void *arg, struct ttap__text key, struct ttap__text value)
{
    struct printer *printer = arg;
    fputs("note", printer->out);
    print_text(printer->out, "key", key);
    print_text(printer->out, "value", value);
    putc('\n', printer->out);
    return 0;
}

static int on_clock(void *arg, const struct ttap__clock_pair *pair)
{
    struct printer *printer = arg;
    fprintf(printer->out, "clock ticks=%llu mono_ns=%llu wall_ns=%llu\n", llu(pair->ticks), llu(pair->mono_ns), llu(pair->wall_ns));
    return 0;
}

static int on_name(void *arg, uint64_t id, struct ttap__text text)
{
    struct printer *printer = arg;
    fprintf(printer->out, "names id=%llu", llu(id));
    print_text(printer->out, "text", text);
    putc('\n', printer->out);
    if (printer->names_count < NAMES_MAX) {
        char *copy = malloc(text.len + 1);
        if (!copy)
            abort();
        memcpy(copy, text.bytes, text.len);
        printer->names[printer->names_count].id = id;
        printer->names[printer->names_count].text = copy;
        printer->names[printer->names_count++].len = text.len;
    }
    return 0;
}

static int on_thread(void *arg, const struct ttap__thread_row *row)
{
    struct printer *printer = arg;
    fprintf(printer->out, "threads thread=%llu pid=%llu tid=%llu", llu(row->thread), llu(row->pid), llu(row->tid));
    print_text(printer->out, "name", row->name);
    putc('\n', printer->out);
    return 0;
}

static void print_fields(struct printer *printer, const struct ttap__event *event)
{
    const char *at = event->row->fields.bytes, *end = at + event->row->fields.len;
    for (unsigned i = 0; i < event->row->fields_count && i < TTAP__VALUES_MAX; i++) {
        const char *blank = memchr(at, ' ', (size_t)(end - at)), *stop = blank ? blank : end;
        char label[64];
        snprintf(label, sizeof label, "%.*s", (int)(stop - at - 2), at);
        char code = (char)event->row->codes[i];
        if (code == 's')
            print_text(printer->out, label, ttap__event_text(event, i));
        else if (code == 'n')
            print_name(printer, label, event->a[i]);
        else if (code == 'i')
            fprintf(printer->out, " %s=%lld", label, (long long)event->a[i]);
        else
            fprintf(printer->out, code == 'x' ? " %s=0x%llx" : " %s=%llu", label, llu(event->a[i]));
        at = blank ? blank + 1 : end;
    }
}

static void print_chunk_head(struct printer *printer, const struct ttap__events *block)
{
    fprintf(printer->out,
            "chunk thread=%llu level=%u first_seq=%llu base=%llu span=%llu count=%llu filtered=%llu delivered_before=%llu "
            "filtered_before=%llu lost_before=%llu sampled_out_before=%llu task=%llu",
            llu(block->thread), block->level, llu(block->first_seq), llu(block->base_ticks), llu(block->span_ticks), llu(block->count),
            llu(block->filtered), llu(block->delivered_before), llu(block->filtered_before), llu(block->lost_before), llu(block->sampled_out_before),
            llu(block->task));
    if (block->task) {
        fprintf(printer->out, " parent=%llu", llu(block->task_parent));
        print_name(printer, "kind", block->task_kind);
        fprintf(printer->out, " draw=%llu start=%llu", llu(block->task_draw), llu(block->task_start_ticks));
    }
    fprintf(printer->out, " open_ends=%llu%s\n", llu(block->open_ends), block->regions_count ? "" : " regions=none");
}

static int on_events(void *arg, const struct ttap__events *block)
{
    struct printer *printer = arg;
    struct ttap__region_walk regions;
    struct ttap__open_region region;
    struct ttap__event_walk walk;
    struct ttap__event event;
    print_chunk_head(printer, block);
    ttap__regions_start(block, &regions);
    while (ttap__regions_next(&regions, &region)) {
        fprintf(printer->out, "open depth=%llu", llu(region.depth));
        print_name(printer, "name", region.name);
        fprintf(printer->out, " begin=%llu\n", llu(region.begin_ticks));
    }
    char level[16] = "";
    if (block->level)
        snprintf(level, sizeof level, block->level == TTAP__LEVEL_SIGNAL ? " signal" : " source=%u", block->level);
    ttap__events_start(block, &walk);
    while (ttap__events_next(&walk, &event)) {
        fprintf(printer->out, "thread %llu%s at %llu: %.*s", llu(block->thread), level, llu(event.ticks), (int)event.row->name.len,
                event.row->name.bytes);
        print_fields(printer, &event);
        putc('\n', printer->out);
    }
    return 0;
}

static int on_loss(void *arg, const struct ttap__loss_row *row)
{
    static const char *const reasons[] = {"0", "full", "nested", "queue", "late", "stall"};
    struct printer *printer = arg;
    char number[8];
    snprintf(number, sizeof number, "%u", row->reason);
    fprintf(printer->out, "loss thread=%llu level=%u reason=%s first_seq=%llu lost=%llu filtered=%llu from=%llu to=%llu\n", llu(row->thread),
            row->level, row->reason <= TTAP__LOSS_REASONS ? reasons[row->reason] : number, llu(row->first_seq), llu(row->lost), llu(row->filtered),
            llu(row->from_ticks), llu(row->to_ticks));
    return 0;
}

static int on_task(void *arg, const struct ttap__task_row *row)
{
    struct printer *printer = arg;
    fprintf(printer->out, "tasks task=%llu parent=%llu", llu(row->task), llu(row->parent));
    print_name(printer, "kind", row->kind);
    fprintf(printer->out, " start=%llu thread=%llu\n", llu(row->start_ticks), llu(row->thread));
    return 0;
}

static void print_sums(FILE *out, uint64_t delivered, uint64_t filtered, const uint64_t *lost, uint64_t sampled_out)
{
    fprintf(out, " delivered=%llu filtered=%llu lost_full=%llu lost_nested=%llu lost_queue=%llu lost_late=%llu lost_stall=%llu sampled_out=%llu",
            llu(delivered), llu(filtered), llu(lost[1]), llu(lost[2]), llu(lost[3]), llu(lost[4]), llu(lost[5]), llu(sampled_out));
}

static int on_account(void *arg, const struct ttap__account_row *row)
{
    struct printer *printer = arg;
    fprintf(printer->out, "account thread=%llu level=%u start_seq=%llu end_seq=%llu", llu(row->thread), row->level, llu(row->start_seq),
            llu(row->end_seq));
    print_sums(printer->out, row->delivered, row->filtered, row->lost, row->sampled_out);
    putc('\n', printer->out);
    return 0;
}

static int on_trailer(void *arg, const struct ttap__trailer *trailer)
{
    struct printer *printer = arg;
    fprintf(printer->out, "trailer reason=%llu end_ticks=%llu end_mono_ns=%llu end_wall_ns=%llu streams=%llu events=%llu", llu(trailer->reason),
            llu(trailer->end_ticks), llu(trailer->end_mono_ns), llu(trailer->end_wall_ns), llu(trailer->streams), llu(trailer->events));
    print_sums(printer->out, trailer->delivered, trailer->filtered, trailer->lost, trailer->sampled_out);
    fprintf(printer->out, " drainer_cpu_ns=%llu blocks=%llu bytes=%llu\n", llu(trailer->drainer_cpu_ns), llu(trailer->blocks), llu(trailer->bytes));
    return 0;
}

static int on_pending(void *arg, const struct ttap__pending_row *row)
{
    struct printer *printer = arg;
    fprintf(printer->out, "calls thread=%llu kind=%llu start=%llu", llu(row->thread), llu(row->kind), llu(row->start_ticks));
    print_name(printer, "op", row->op);
    fprintf(printer->out, " object=%llu\n", llu(row->object));
    return 0;
}

static int on_module(void *arg, const struct ttap__module_row *row)
{
    struct printer *printer = arg;
    fprintf(printer->out, "modules module=%llu start=0x%llx end=0x%llx offset=0x%llx", llu(row->module), llu(row->start), llu(row->end),
            llu(row->offset));
    print_text(printer->out, "path", row->path);
    print_text(printer->out, "build_id", row->build_id);
    putc('\n', printer->out);
    return 0;
}

static int on_mapped(void *arg, const struct ttap__mapped_row *row)
{
    struct printer *printer = arg;
    fprintf(printer->out, "mapped pid=%llu module=%llu\n", llu(row->pid), llu(row->module));
    return 0;
}

static int on_stack(void *arg, const struct ttap__stack_row *row)
{
    struct printer *printer = arg;
    struct ttap__frame_walk walk;
    uint64_t module, offset;
    const char *before = "";
    fprintf(printer->out, "stacks stack=%llu flags=%u frames=\"", llu(row->stack), row->flags);
    ttap__frames_start(row, &walk);
    for (; ttap__frames_next(&walk, &module, &offset); before = " ")
        fprintf(printer->out, "%s%llu:0x%llx", before, llu(module), llu(offset));
    fputs("\"\n", printer->out);
    return 0;
}

static const struct ttap__read_calls calls = {
    .block = on_block,
    .header = on_header,
    .note = on_note,
    .clock = on_clock,
    .name = on_name,
    .thread = on_thread,
    .events = on_events,
    .loss = on_loss,
    .task = on_task,
    .account = on_account,
    .trailer = on_trailer,
    .pending = on_pending,
    .module = on_module,
    .stack = on_stack,
    .mapped = on_mapped,
};

bool text_capture_to_text(const void *bytes, size_t len, FILE *out)
{
    struct printer *printer = calloc(1, sizeof *printer);
    struct ttap__reader *reader = ttap__reader_new(&calls, printer);
    if (!printer || !reader)
        abort();
    printer->out = out;
    ttap__reader_feed(reader, bytes, len);
    if (!ttap__reader_finish(reader))
        fprintf(out, "# %s\n", ttap__reader_problem(reader));
    size_t whole = ttap__reader_bytes(reader);
    if (whole < len) {
        fputs("raw hex=", out);
        for (size_t i = whole; i < len; i++)
            fprintf(out, "%02x", ((const uint8_t *)bytes)[i]);
        putc('\n', out);
    }
    ttap__reader_free(reader);
    for (size_t i = 0; i < printer->names_count; i++)
        free(printer->names[i].text);
    free(printer);
    return whole > TTAP__WIRE_PREAMBLE_BYTES;
}
