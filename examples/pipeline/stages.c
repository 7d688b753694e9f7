/* stages.c - what a request passes.
 *
 *      submit -> [fetch.in] -> fetch -> [transform.in] -> transform -> [enrich.in] -> enrich -> [serialize.in] ->
 * serialize -> done
 *
 * Only the way in refuses when there is no room; between stages one waits, which is how a slow stage slows those before
 * it.
 */
#define _GNU_SOURCE
#include "stages.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "crew.h"
#include "pool.h"
#include "queue.h"
#include "trouble.h"
#include "work.h"

enum {
    QUEUE_CAPACITY = 64,
    SMALL_QUEUE_CAPACITY = 1,
    POOL_THREADS_PER_THREAD = 3, /* as many as a request has lookups */
    DOCUMENT_BYTES = 4096,
    CHECKSUM_ROUNDS = 20,        /* about 0.1 ms of CPU */
    MISSING_ITEM_EVERY = 50,     /* these items are not there: the request fails */
    REVIEWS_TIME_OUT_EVERY = 20, /* for these items one lookup fails: the reply is degraded */
    LOOKUP_TIMEOUT_US = 15000
};

static void fetch(struct request *request);
static void transform(struct request *request);
static void enrich(struct request *request);
static void serialize(struct request *request);

struct stage {
    const char *name, *queue_name;
    void (*run)(struct request *request);
    struct queue in;
    struct crew crew;
};

static struct stage stages[] = {
    {.name = "fetch", .queue_name = "fetch.in", .run = fetch},
    {.name = "transform", .queue_name = "transform.in", .run = transform},
    {.name = "enrich", .queue_name = "enrich.in", .run = enrich},
    {.name = "serialize", .queue_name = "serialize.in", .run = serialize},
};
enum { STAGES = sizeof stages / sizeof *stages };

static struct pool pool;
static void (*request_done)(struct request *request);

static void fail(struct request *request, unsigned status, const char *error)
{
    request->status = status;
    request->error = error;
}

/* ---- fetch: get the document from a backend ---- */

static void fetch(struct request *request)
{
    TTAP_REGION("fetch");

    wait_us(500 + (unsigned)(request->item % 10) * 100);
    if (request->item % MISSING_ITEM_EVERY == 0) {
        fail(request, 404, "no such item");
        return;
    }
    request->document = malloc(DOCUMENT_BYTES);
    if (!request->document) {
        fail(request, 503, "no memory for the document");
        return;
    }
    request->document_bytes = DOCUMENT_BYTES;
    for (size_t i = 0; i < DOCUMENT_BYTES; i++)
        request->document[i] = (char)('a' + (request->item + (long)i) % 26);
}

/* ---- transform: work on it ---- */

static void normalise(struct request *request)
{
    TTAP_REGION("normalise");
    for (size_t i = 0; i < request->document_bytes; i++)
        request->document[i] = (char)(request->document[i] - 'a' + 'A');
}

static void transform(struct request *request)
{
    TTAP_REGION("transform");

    normalise(request);
    {
        TTAP_REGION("checksum");
        request->checksum = checksum(request->document, request->document_bytes, CHECKSUM_ROUNDS);
    }
    garbage_make();
}

/* ---- enrich: three lookups at a time, each a task of its own and a child of the request's ---- */

struct lookup {
    struct request *request;
    unsigned number;
};

static bool lookup_times_out(const struct lookup *lookup)
{
    return lookup->number == LOOKUPS - 1 && lookup->request->item % REVIEWS_TIME_OUT_EVERY == 7;
}

static void lookup_run(void *arg)
{
    static struct ttap_name kinds[LOOKUPS] = {TTAP_NAME_INIT("lookup price"), TTAP_NAME_INIT("lookup stock"), TTAP_NAME_INIT("lookup reviews")};
    struct lookup *lookup = arg;
    struct request *request = lookup->request;
    struct ttap_task task;

    ttap_task_begin(&task, &kinds[lookup->number], &request->task);
    TTAP_TASK_SCOPE(&task);
    if (lookup_times_out(lookup)) {
        wait_us(LOOKUP_TIMEOUT_US);
        request->lookups[lookup->number] = -ETIMEDOUT;
        ttap_task_fail(&task, ETIMEDOUT, "the review service did not answer");
        return;
    }
    wait_us(200 + 150 * lookup->number);
    request->lookups[lookup->number] = cache_lookup(request->item);
    ttap_task_end(&task);
}

static void enrich(struct request *request)
{
    static struct ttap_name degraded = TTAP_NAME_INIT("degraded");
    struct batch batch = BATCH_INIT;
    struct lookup lookups[LOOKUPS];
    struct job jobs[LOOKUPS];
    TTAP_REGION("enrich");

    for (unsigned i = 0; i < LOOKUPS; i++) {
        lookups[i] = (struct lookup){request, i};
        jobs[i] = (struct job){lookup_run, &lookups[i], &batch};
        pool_run(&pool, &jobs[i]);
    }
    batch_wait(&batch);
    for (unsigned i = 0; i < LOOKUPS; i++)
        if (request->lookups[i] < 0)
            ttap_logf(&degraded, "item %ld without lookup %u: %s", request->item, i, strerror(-request->lookups[i]));
}

/* ---- serialize: write the reply ---- */

static void serialize(struct request *request)
{
    TTAP_REGION("serialize");
    int length = asprintf(&request->reply, "{\"item\":%ld,\"checksum\":\"%016lx\",\"price\":%d,\"stock\":%d,\"reviews\":%d}\n", request->item,
                          (unsigned long)request->checksum, request->lookups[0], request->lookups[1], request->lookups[2]);
    if (length < 0) {
        request->reply = NULL;
        fail(request, 503, "no memory for the reply");
        return;
    }
    request->reply_bytes = (size_t)length;
    request->status = 200;
}

/* ---- Running the stages ---- */

static void stage_thread(void *arg)
{
    struct stage *stage = arg, *next = stage + 1;
    struct request *request;

    while ((request = queue_pop(&stage->in))) {
        TTAP_TASK_SCOPE(&request->task);
        if (request->status == 0)
            stage->run(request);
        if (next == stages + STAGES)
            request_done(request);
        else
            queue_push(&next->in, request); /* the queues close front to back, so this one is open */
    }
}

static size_t queue_capacity(const struct stage *stage, const struct options *options)
{
    return stage->run == enrich && options->small_queue ? SMALL_QUEUE_CAPACITY : QUEUE_CAPACITY;
}

/* What fills the small queue: the stage behind it is held up now and then by a lookup that times out. */
static unsigned thread_count(const struct stage *stage, const struct options *options)
{
    return stage->run == enrich && options->small_queue ? 1 : options->threads;
}

bool stages_start(const struct options *options, void (*done)(struct request *request))
{
    request_done = done;
    if (!pool_start(&pool, options->threads * POOL_THREADS_PER_THREAD))
        return false;
    for (struct stage *stage = stages; stage < stages + STAGES; stage++)
        if (!queue_init(&stage->in, stage->queue_name, queue_capacity(stage, options)))
            return false;
    for (struct stage *stage = stages; stage < stages + STAGES; stage++)
        if (!crew_start(&stage->crew, stage->name, thread_count(stage, options), stage_thread, stage))
            return false;
    return true;
}

bool stages_submit(struct request *request)
{
    return queue_try_push(&stages[0].in, request);
}

void stages_stop(void)
{
    for (struct stage *stage = stages; stage < stages + STAGES && stage->in.items; stage++) {
        queue_close(&stage->in);
        crew_join(&stage->crew);
        queue_destroy(&stage->in);
    }
    pool_stop(&pool);
}
