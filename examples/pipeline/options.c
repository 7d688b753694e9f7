/* options.c - the command line. */
#include "options.h"

#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { RATE_MAX_HZ = 10000, THREADS_MAX = 64, SECONDS_MAX = 86400 };

static const char usage[] = "usage: pipeline [options]\n"
                            "A demo service that makes its own load. Watch it at the address it prints.\n"
                            "\n"
                            "  --listen ADDR:PORT   where tracetap answers (default 127.0.0.1:6060; port 0: any free one)\n"
                            "  --token-file FILE    ask for this token; needed for any address but loopback\n"
                            "  --app-port PORT      where the application answers, on 127.0.0.1 (default 0: any free one)\n"
                            "  --rate N             requests a second (default 200)\n"
                            "  --threads N          threads of each stage (default 2)\n"
                            "  --no-load            make no load; bring your own\n"
                            "  --seconds N          end after N seconds (default: on SIGINT or SIGTERM)\n"
                            "What goes wrong, one switch each:\n"
                            "  --slow-lock          the lookups of all requests hold one lock too long\n"
                            "  --small-queue        the queue before enrich has room for one request, and one thread behind it\n"
                            "  --alloc-pressure     each request makes much garbage, and a collector stops everybody\n"
                            "  --oversubscribe      bursts of background threads, more than there are CPUs\n";

static const struct option table[] = {
    {"listen", required_argument, NULL, 'l'},
    {"token-file", required_argument, NULL, 't'},
    {"app-port", required_argument, NULL, 'a'},
    {"rate", required_argument, NULL, 'r'},
    {"threads", required_argument, NULL, 'n'},
    {"no-load", no_argument, NULL, 'N'},
    {"seconds", required_argument, NULL, 's'},
    {"slow-lock", no_argument, NULL, 'L'},
    {"small-queue", no_argument, NULL, 'Q'},
    {"alloc-pressure", no_argument, NULL, 'A'},
    {"oversubscribe", no_argument, NULL, 'O'},
    {"help", no_argument, NULL, 'h'},
    {NULL, 0, NULL, 0},
};

static bool parse_number(const char *name, const char *text, unsigned long min, unsigned long max, unsigned long *out)
{
    char *end;

    errno = 0;
    unsigned long value = strtoul(text, &end, 10);
    if (errno || *text < '0' || *text > '9' || *end || value < min || value > max) {
        fprintf(stderr, "pipeline: --%s %s: must be a whole number from %lu to %lu\n", name, text, min, max);
        return false;
    }
    *out = value;
    return true;
}

/* "127.0.0.1:6060", "[::1]:6060" */
static bool parse_listen(const char *text, struct options *out)
{
    const char *colon = strrchr(text, ':');
    const char *from = text;
    unsigned long port;

    if (!colon) {
        fprintf(stderr, "pipeline: --listen %s: must be ADDRESS:PORT, such as 127.0.0.1:6060 or [::1]:6060\n", text);
        return false;
    }
    if (!parse_number("listen ...:PORT", colon + 1, 0, 65535, &port))
        return false;
    size_t len = (size_t)(colon - text);
    if (len >= 2 && text[0] == '[' && text[len - 1] == ']') {
        from++;
        len -= 2;
    }
    if (len == 0 || len >= sizeof out->listen_address) {
        fprintf(stderr, "pipeline: --listen %s: must begin with a numeric IPv4 or IPv6 address\n", text);
        return false;
    }
    memcpy(out->listen_address, from, len);
    out->listen_address[len] = 0;
    out->listen_port = (uint16_t)port;
    return true;
}

static bool apply(int option, const char *name, struct options *out)
{
    unsigned long number = 0;
    bool good = true;

    switch (option) {
    case 'l':
        return parse_listen(optarg, out);
    case 't':
        out->token_file = optarg;
        break;
    case 'a':
        good = parse_number(name, optarg, 0, 65535, &number);
        out->app_port = (uint16_t)number;
        break;
    case 'r':
        good = parse_number(name, optarg, 1, RATE_MAX_HZ, &number);
        out->rate_hz = (unsigned)number;
        break;
    case 'n':
        good = parse_number(name, optarg, 1, THREADS_MAX, &number);
        out->threads = (unsigned)number;
        break;
    case 's':
        good = parse_number(name, optarg, 1, SECONDS_MAX, &number);
        out->seconds = (unsigned)number;
        break;
    case 'N':
        out->no_load = true;
        break;
    case 'L':
        out->slow_lock = true;
        break;
    case 'Q':
        out->small_queue = true;
        break;
    case 'A':
        out->alloc_pressure = true;
        break;
    case 'O':
        out->oversubscribe = true;
        break;
    default: /* getopt has said what is wrong */
        fputs("pipeline: see pipeline --help\n", stderr);
        return false;
    }
    return good;
}

int options_parse(int argc, char **argv, struct options *out)
{
    int option, index = 0;

    *out = (struct options){.listen_address = "127.0.0.1", .listen_port = 6060, .rate_hz = 200, .threads = 2};
    while ((option = getopt_long(argc, argv, "", table, &index)) != -1) {
        if (option == 'h') {
            fputs(usage, stdout);
            return 0;
        }
        if (!apply(option, table[index].name, out))
            return 2;
    }
    if (optind < argc) {
        fprintf(stderr, "pipeline: %s: takes no arguments besides options; see pipeline --help\n", argv[optind]);
        return 2;
    }
    return -1;
}
