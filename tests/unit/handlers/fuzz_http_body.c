/* fuzz_http_body.c - any bytes as the body of each endpoint that takes one. The first byte chooses the endpoint. */
#include <stdlib.h>

#include "fake_request.h"
#include "handlers.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct ttap_http http = {.seconds_max = 300, .connections_max = 64, .lock = PTHREAD_MUTEX_INITIALIZER};

static void as_capture(struct ttap__request *req)
{
    struct ttap__wish wish;
    char rule[24];
    json_t *body = ttap__body_object(req);
    bool taken = body && ttap__wish_from_body(req, &http, body, &wish, rule);
    if (req->replies != (taken ? 0 : 1) || (taken && wish.sub.sample && ttap__sampling_check(wish.sub.sample, NULL) != 0))
        abort();
    json_decref(body);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    if (size < 2 || size > TTAP__BODY_MAX_BYTES)
        return 0;
    struct ttap__request req = {.method = TTAP__PUT, .body = (const char *)data + 1, .body_len = size - 1};
    if (data[0] & 1) {
        as_capture(&req);
        return 0;
    }
    ttap__route_sampling.handler(&req, &http);
    if (req.replies != 1 || (req.status != 200 && req.status != 400))
        abort();
    return 0;
}
