/* transfer.c - libcurl's multi interface with one handle: its wait is ours, so ticks and signals are served every 100
 * ms. */
#include "transfer.h"

#include <curl/curl.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>

#include "address.h"

enum { TICK_MS = 100, CONNECT_TIMEOUT_S = 10 };

static volatile sig_atomic_t signalled;

static void on_signal(int number)
{
    (void)number;
    signalled = 1;
}

bool cli_transfer_was_signalled(void)
{
    return signalled != 0;
}

/* The second signal finds the default action: a transfer that does not end can still be killed. */
static void catch_signals(void)
{
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = (int)SA_RESETHAND};

    sigemptyset(&action.sa_mask);
    sigaction(SIGINT, &action, NULL);
    sigaction(SIGTERM, &action, NULL);
}

static size_t take_header(char *bytes, size_t size, size_t count, void *arg)
{
    static const char name[] = "Content-Disposition:";
    struct cli_transfer *transfer = arg;
    size_t len = size * count;

    if (len >= sizeof name - 1 && strncasecmp(bytes, name, sizeof name - 1) == 0) {
        const char *value = bytes + sizeof name - 1;
        int value_len = (int)(len - (sizeof name - 1));
        snprintf(transfer->disposition, sizeof transfer->disposition, "%.*s", value_len, value);
        transfer->disposition[strcspn(transfer->disposition, "\r\n")] = 0;
    }
    return len;
}

struct running {
    struct cli_transfer *transfer;
    CURL *curl;
    bool refused; /* by the body callback */
};

static size_t take_body(char *bytes, size_t size, size_t count, void *arg)
{
    struct running *running = arg;

    curl_easy_getinfo(running->curl, CURLINFO_RESPONSE_CODE, &running->transfer->status);
    running->refused = running->transfer->body(running->transfer->arg, bytes, size * count) != 0;
    return running->refused ? 0 : size * count;
}

static void set_options(struct running *running, const struct curl_slist *headers)
{
    struct cli_transfer *transfer = running->transfer;
    CURL *curl = running->curl;

    curl_easy_setopt(curl, CURLOPT_URL, transfer->url);
    curl_easy_setopt(curl, CURLOPT_HTTPHEADER, headers);
    curl_easy_setopt(curl, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(curl, CURLOPT_USERAGENT, "tracetap");
    curl_easy_setopt(curl, CURLOPT_CONNECTTIMEOUT, (long)CONNECT_TIMEOUT_S);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_LIMIT, 1L);
    curl_easy_setopt(curl, CURLOPT_LOW_SPEED_TIME, (long)transfer->quiet_s + 1);
    curl_easy_setopt(curl, CURLOPT_HEADERFUNCTION, take_header);
    curl_easy_setopt(curl, CURLOPT_HEADERDATA, transfer);
    curl_easy_setopt(curl, CURLOPT_WRITEFUNCTION, take_body);
    curl_easy_setopt(curl, CURLOPT_WRITEDATA, running);
    curl_easy_setopt(curl, CURLOPT_ERRORBUFFER, transfer->error);
    if (transfer->unix_path)
        curl_easy_setopt(curl, CURLOPT_UNIX_SOCKET_PATH, transfer->unix_path);
    if (transfer->unix_path || cli_address_is_loopback(transfer->url))
        curl_easy_setopt(curl, CURLOPT_PROXY, "");
}

static CURLcode result_of(CURLM *multi)
{
    int left;

    for (CURLMsg *message; (message = curl_multi_info_read(multi, &left));)
        if (message->msg == CURLMSG_DONE)
            return message->data.result;
    return CURLE_OK;
}

/* @running is 0 at the end, also of a transfer that failed. */
static CURLcode perform(CURLM *multi, struct cli_transfer *transfer)
{
    int running = 1;

    while (running && !signalled) {
        if (curl_multi_perform(multi, &running) != CURLM_OK)
            return CURLE_OUT_OF_MEMORY;
        transfer->tick(transfer->arg);
        if (running)
            curl_multi_poll(multi, NULL, 0, TICK_MS, NULL);
    }
    return running ? CURLE_ABORTED_BY_CALLBACK : result_of(multi);
}

static bool is_connected(CURL *curl)
{
    double after_s = 0;

    return curl_easy_getinfo(curl, CURLINFO_CONNECT_TIME, &after_s) == CURLE_OK && after_s > 0;
}

/* libcurl would name the host and port of the URL, which nobody asked. */
static void say_unconnected(const struct running *running)
{
    struct cli_transfer *transfer = running->transfer;
    long error = 0;

    curl_easy_getinfo(running->curl, CURLINFO_OS_ERRNO, &error);
    snprintf(transfer->error, sizeof transfer->error, "cannot connect to the unix socket %s: %s", transfer->unix_path,
             error ? strerror((int)error) : "it is too long a name, or nobody listens");
}

static enum cli_transfer_end judge(const struct running *running, CURLcode code)
{
    struct cli_transfer *transfer = running->transfer;

    curl_easy_getinfo(running->curl, CURLINFO_RESPONSE_CODE, &transfer->status);
    if (code == CURLE_OK)
        return CLI_TRANSFER_DONE;
    if (signalled || running->refused)
        return CLI_TRANSFER_INTERRUPTED;
    if (code == CURLE_COULDNT_CONNECT && transfer->unix_path)
        say_unconnected(running);
    else if (code == CURLE_OPERATION_TIMEDOUT && is_connected(running->curl))
        snprintf(transfer->error, sizeof transfer->error, "nothing came for %.0f seconds", transfer->quiet_s);
    else if (!transfer->error[0])
        snprintf(transfer->error, sizeof transfer->error, "%s", curl_easy_strerror(code));
    return CLI_TRANSFER_FAILED;
}

static struct curl_slist *make_headers(const struct cli_transfer *transfer)
{
    char line[CLI_TRANSFER_TEXT_SIZE];

    if (!transfer->token)
        return NULL;
    snprintf(line, sizeof line, "Authorization: Bearer %s", transfer->token);
    return curl_slist_append(NULL, line);
}

_Static_assert(CLI_TRANSFER_TEXT_SIZE >= CURL_ERROR_SIZE, "libcurl writes its message into transfer->error");

enum cli_transfer_end cli_transfer_run(struct cli_transfer *transfer)
{
    struct running running = {.transfer = transfer};
    enum cli_transfer_end end = CLI_TRANSFER_FAILED;

    transfer->status = 0;
    transfer->disposition[0] = transfer->error[0] = 0;
    curl_global_init(CURL_GLOBAL_DEFAULT);
    catch_signals();
    CURLM *multi = curl_multi_init();
    running.curl = curl_easy_init();
    struct curl_slist *headers = make_headers(transfer);
    if (!multi || !running.curl || (transfer->token && !headers)) {
        snprintf(transfer->error, sizeof transfer->error, "no memory for the request");
    } else {
        set_options(&running, headers);
        curl_multi_add_handle(multi, running.curl);
        end = judge(&running, perform(multi, transfer));
        curl_multi_remove_handle(multi, running.curl);
    }
    curl_easy_cleanup(running.curl);
    curl_multi_cleanup(multi);
    curl_slist_free_all(headers);
    curl_global_cleanup();
    return end;
}
