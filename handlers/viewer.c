/* viewer.c - GET / and /debug/trace/ui/: the viewer's files. They are public: what they show has to be asked for. */
#include <string.h>

#include "assets.h"
#include "handlers.h"

extern const struct ttap__assets ttap__viewer_assets; /* made of static/ by embed_assets.cmake; empty without TRACETAP_VIEWER */

static const char no_viewer[] = "This library was built without the viewer. Record five seconds with\n"
                                "\n"
                                "    curl -OJ 'http://localhost:6060/debug/trace?seconds=5'\n"
                                "\n"
                                "and look at them with: tracetap view FILE\n";

/* Relative, so that it holds behind a proxy that adds a prefix. */
static void go_to_viewer(struct ttap__request *req, void *arg)
{
    const struct ttap__header extra[] = {{"Location", "debug/trace/ui/"}, {NULL, NULL}};
    (void)arg;
    ttap__reply(req, 302, "text/plain; charset=utf-8", "", 0, extra);
}

static void show_file(struct ttap__request *req, void *arg)
{
    const struct ttap_http *http = arg;
    const char *path = ttap__request_path_arg(req);
    if (http->static_dir)
        ttap__assets_reply_from(req, http->static_dir, path ? path : "");
    else if (!ttap__viewer_assets.count && (!path || !*path))
        ttap__reply(req, 200, "text/plain; charset=utf-8", no_viewer, strlen(no_viewer), NULL);
    else
        ttap__assets_reply(req, &ttap__viewer_assets, path ? path : "");
}

const struct ttap__route ttap__route_home = {"/", TTAP__GET | TTAP__HEAD, go_to_viewer, NULL, TTAP__ROUTE_PUBLIC, 0};
const struct ttap__route ttap__route_viewer = {"/debug/trace/ui/{rest}", TTAP__GET | TTAP__HEAD, show_file, NULL, TTAP__ROUTE_PUBLIC, 0};
