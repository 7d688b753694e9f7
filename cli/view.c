/* view.c - `tracetap view`: the viewer for one file, served on loopback until Ctrl-C. */
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <spawn.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "cli.h"
#include "document.h"
#include "file_name.h"
#include "file_routes.h"
#include "input.h"
#include "text.h"

struct values {
    uint64_t port;
    bool no_open;
    struct cli_lines_wish lines;
};

static const struct cli_option options[] = {
    {"port", 'p', "N", CLI_COUNT, offsetof(struct values, port), 1, 65535, "listen there (default: any free port)"},
    {"no-open", 0, NULL, CLI_FLAG, offsetof(struct values, no_open), 0, 0, "only say the address, start no browser"},
    CLI_LINES_OPTIONS(values),
    CLI_OPTIONS_END,
};

/* Blocked before any thread exists, so that only wait_for_stop() sees them. */
static sigset_t block_stop_signals(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGINT);
    sigaddset(&set, SIGTERM);
    sigaddset(&set, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &set, NULL);
    return set;
}

static void wait_for_stop(const sigset_t *signals)
{
    int number;

    sigwait(signals, &number);
}

static bool has_desktop(void)
{
    return getenv("DISPLAY") || getenv("WAYLAND_DISPLAY");
}

/* Its own chatter goes nowhere, and it does not inherit our blocked signals. False: there is no such program. */
static bool open_browser(const char *url)
{
    extern char **environ;
    char *argv[] = {(char *)(uintptr_t) "xdg-open", (char *)(uintptr_t)url, NULL};
    posix_spawn_file_actions_t files;
    posix_spawnattr_t attributes;
    sigset_t none;
    pid_t pid;

    sigemptyset(&none);
    posix_spawn_file_actions_init(&files);
    posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawn_file_actions_addopen(&files, STDERR_FILENO, "/dev/null", O_WRONLY, 0);
    posix_spawnattr_init(&attributes);
    posix_spawnattr_setsigmask(&attributes, &none);
    posix_spawnattr_setflags(&attributes, POSIX_SPAWN_SETSIGMASK);
    signal(SIGCHLD, SIG_IGN); /* nobody waits for it */
    bool started = posix_spawnp(&pid, argv[0], &files, &attributes, argv, environ) == 0;
    posix_spawnattr_destroy(&attributes);
    posix_spawn_file_actions_destroy(&files);
    return started;
}

/* False: nobody can know the address. */
static bool announce(const char *name, uint16_t port, bool no_open)
{
    char url[96], safe[512];

    snprintf(url, sizeof url, "http://127.0.0.1:%u/debug/trace/ui/#/timeline?cap=1", port);
    bool opened = !no_open && has_desktop() && open_browser(url);
    printf("%s: %s\n%s", cli_text_escape(name, strlen(name), safe, sizeof safe), url,
           opened ? "opening the browser; Ctrl-C ends\n" : "open that address in a browser; Ctrl-C ends\n");
    return fflush(stdout) == 0 || opened;
}

/* "dir/slow run.ttap" -> "slow_run.json" */
static void download_name(const char *input_name, char out[CLI_FILE_NAME_SIZE])
{
    char wish[512], name[CLI_FILE_NAME_SIZE];
    const char *slash = strrchr(input_name, '/');

    snprintf(wish, sizeof wish, "attachment; filename=%s", slash ? slash + 1 : input_name);
    cli_file_name_from_header(wish, "capture", name);
    name[strcspn(name, ".")] = 0;
    snprintf(out, CLI_FILE_NAME_SIZE, "%.*s.json", CLI_FILE_NAME_SIZE - 6, name);
}

static int serve(const struct cli_document *document, const char *name, const struct values *values)
{
    char error[512], download[CLI_FILE_NAME_SIZE];
    struct cli_served_file file = {document, download};
    struct ttap__server_config config = {
        .address = "127.0.0.1",
        .port = (uint16_t)values->port,
        .connections_max = 64,
        .head_deadline_ms = 5000,
        .routes = cli_file_routes,
        .route_count = CLI_FILE_ROUTE_COUNT,
        .arg = &file,
    };
    struct ttap__server *server;

    download_name(name, download);
    sigset_t signals = block_stop_signals();
    if (ttap__server_start(&config, &server, error, sizeof error) != 0) {
        cli_error("%s", error);
        return CLI_FAILED;
    }
    bool known = announce(name, ttap__server_port(server), values->no_open);
    if (known)
        wait_for_stop(&signals);
    ttap__server_stop(server);
    return known ? CLI_OK : CLI_FAILED;
}

static int run(int argc, char **argv)
{
    struct values values = {0};
    struct cli_document document;
    struct cli_input input;
    const char *name;
    int result = cli_options_parse(&cli_view, argc, argv, &values, &name);

    if (result != CLI_OK)
        return result;
    if (!cli_file_routes_have_viewer()) {
        cli_error("this tracetap was built without the viewer (TRACETAP_VIEWER)");
        return CLI_FAILED;
    }
    if (cli_input_open(&input, name) < 0)
        return CLI_FAILED;
    result = cli_document_make(&document, &input, &values.lines);
    cli_input_close(&input);
    if (result != CLI_OK)
        return result;
    result = serve(&document, input.name, &values);
    cli_document_free(&document);
    return result;
}

const struct cli_command cli_view = {
    .name = "view",
    .arguments = "FILE",
    .summary = "look at a capture in the browser",
    .details = "Serves the viewer for FILE on 127.0.0.1 and opens it in the browser, until Ctrl-C. FILE is a native capture "
               "or a JSON\n"
               "document made from one, also compressed with gzip; - is standard input. Nothing is fetched from elsewhere.\n",
    .options = options,
    .operands_min = 1,
    .operands_max = 1,
    .run = run,
};
