/* load.c - a few clients, each with a connection of its own.
 *
 * A client that is behind its schedule does not hurry to catch up: the load then is what the service takes.
 */
#include "load.h"

#include <curl/curl.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include "crew.h"

enum { CLIENTS = 8, ITEMS = 1000, NS_PER_S = 1000000000, REQUEST_TIMEOUT_MS = 10000 };

static struct crew clients;
static atomic_bool stopping;
static char base_url[64];
static unsigned rate_of_all_hz;

static size_t ignore_body(char *bytes, size_t size, size_t count, void *arg)
{
    (void)bytes;
    (void)arg;
    return size * count;
}

static void send_request(CURL *curl, long item)
{
    char url[96];

    snprintf(url, sizeof url, "%s/item/%ld", base_url, item);
    curl_easy_setopt(curl, CURLOPT_URL, url);
    curl_easy_perform(curl); /* a failure shows in the service's own counts */
}

/* Uniform between none and twice the mean, so that clients drift apart and bunch up as users do. */
static void wait_random_gap(unsigned *seed)
{
    long long gap_ns = 2LL * NS_PER_S * CLIENTS / rate_of_all_hz * rand_r(seed) / RAND_MAX;
    struct timespec gap = {(time_t)(gap_ns / NS_PER_S), (long)(gap_ns % NS_PER_S)};

    nanosleep(&gap, NULL);
}

static void client(void *arg)
{
    static atomic_uint next_seed = 1;
    unsigned seed = atomic_fetch_add(&next_seed, 1);
    CURL *curl = curl_easy_init();

    (void)arg;
    if (!curl)
        return;
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, ignore_body);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_PROXY, "");
    curl_easy_setopt(curl, CURLOPT_TIMEOUT_MS, (long)REQUEST_TIMEOUT_MS);
    while (!atomic_load(&stopping)) {
        wait_random_gap(&seed);
        send_request(curl, rand_r(&seed) % ITEMS);
    }
    curl_easy_cleanup(curl);
}

bool load_start(uint16_t port, unsigned rate_hz)
{
    rate_of_all_hz = rate_hz;
    snprintf(base_url, sizeof base_url, "http://127.0.0.1:%u", port);
    curl_global_init(CURL_GLOBAL_DEFAULT);
    return crew_start(&clients, "client", CLIENTS, client, NULL);
}

void load_stop(void)
{
    atomic_store(&stopping, true);
    crew_join(&clients);
}
