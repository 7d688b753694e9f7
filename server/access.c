/* access.c - who may ask: one table of rules, applied in order; the first that is broken answers.
 *
 * Why each is needed even on loopback: any page in a browser can make it send requests to localhost. A page elsewhere is marked by
 * Sec-Fetch-Site (also one on another port, as same-site) or Origin; one whose name was re-bound to 127.0.0.1 is marked by nothing
 * but its own name in Host. All three are checked before anything is looked up, and OPTIONS gets no exception.
 */
#include <string.h>
#include <strings.h>
#include <stdlib.h>

#include "internal.h"
#ifdef TTAP_TESTING
#include "testing.h"
#endif

static bool host_is(const char *host, size_t len, const char *name)
{
    return strlen(name) == len && strncasecmp(host, name, len) == 0;
}

static bool host_is_ours(const struct ttap__request *req)
{
    const struct ttap__server *server = req->server;
    const char *host;
    size_t len;
    if (!ttap__host_split(req->head.host, &host, &len))
        return false;
    if (host_is(host, len, "localhost") || host_is(host, len, "127.0.0.1") || host_is(host, len, "[::1]"))
        return true;
    for (size_t i = 0; i < server->host_count; i++)
        if (host_is(host, len, server->hosts[i]))
            return true;
    return false;
}

static bool site_is_own(const struct ttap__request *req)
{
    const char *site = req->head.fetch_site;
    return !site || strcmp(site, "none") == 0 || strcmp(site, "same-origin") == 0;
}

/* Own is scheme and Host as the browser wrote them; the scheme may be https where a proxy or a host's daemon adds TLS. */
static bool origin_is_own(const struct ttap__request *req)
{
    const char *origin = req->head.origin;
    if (!origin)
        return true;
    size_t scheme = strncmp(origin, "http://", 7) == 0 ? 7 : strncmp(origin, "https://", 8) == 0 ? 8 : 0;
    return scheme && strcasecmp(origin + scheme, req->head.host) == 0;
}

static bool peer_is_own_user(const struct ttap__request *req)
{
    return req->peer_ok;
}

/* The unix socket is the owner's already: its mode and the peer's user say so. */
static bool token_is_right(const struct ttap__request *req)
{
    bool is_public = req->route && (req->route->flags & TTAP__ROUTE_PUBLIC);
    bool asked = req->server->token_len && !is_public && !(req->listener && req->listener->is_unix);
    return !asked || ttap__token_matches(req->server, req->head.authorization);
}

static bool type_is_json(const char *type)
{
    static const char json[] = "application/json";
    if (!type || strncasecmp(type, json, sizeof json - 1) != 0)
        return false;
    type += sizeof json - 1;
    type += strspn(type, " \t");
    return *type == 0 || *type == ';';
}

/* A browser sends this type to another origin only after asking, and nobody says yes. A POST without any body (stop a capture) is
 * told apart by Origin, which browsers send with every POST. */
static bool body_is_json(const struct ttap__request *req)
{
    bool takes_body = req->route && req->route->body_max_bytes && (req->method == TTAP__POST || req->method == TTAP__PUT);
    return !takes_body || type_is_json(req->head.content_type);
}

static const struct rule {
    const char *name;
    bool (*holds)(const struct ttap__request *req);
    bool is_access; /* left out where the host of a mounted endpoint decides who may ask */
    unsigned status;
    const char *code, *message, *hint;
} rules[] = {
    {"peer", peer_is_own_user, true, 403, "forbidden", "the unix socket answers only its own user", NULL},
    {"host", host_is_ours, true, 403, "forbidden", "the name in the Host header is not one of this endpoint's",
     "ask as localhost or 127.0.0.1, or add the name to the hosts option"},
    {"site", site_is_own, true, 403, "forbidden", "a page of another origin made this request (Sec-Fetch-Site)",
     "open the address itself, or use curl"},
    {"origin", origin_is_own, true, 403, "forbidden", "a page of another origin made this request (Origin)", "open the address itself, or use curl"},
    {"token", token_is_right, true, 401, "unauthorized", "this endpoint asks for a token", "send the header Authorization: Bearer TOKEN"},
    {"type", body_is_json, false, 415, "unsupported_media_type", "the body must be application/json",
     "send the header Content-Type: application/json"},
};

#ifdef TTAP_TESTING
const char *ttap__testing_rule_removed;

const char *ttap__testing_rule_name(size_t index)
{
    return index < sizeof rules / sizeof *rules ? rules[index].name : NULL;
}

static bool is_removed(const struct rule *rule)
{
    return ttap__testing_rule_removed && strcmp(ttap__testing_rule_removed, rule->name) == 0;
}
#else
static bool is_removed(const struct rule *rule)
{
    (void)rule;
    return false;
}
#endif

static void refuse(struct ttap__request *req, const struct rule *rule)
{
    static const struct ttap__header bearer[] = {{"WWW-Authenticate", "Bearer"}, {NULL, NULL}};
    ttap__log(req->server, "refused with %u: %s", rule->status, rule->message);
    ttap__reply_error(req, rule->status, rule->code, rule->hint, rule->status == 401 ? bearer : NULL, "%s", rule->message);
}

bool ttap__access_check(struct ttap__request *req)
{
    for (size_t i = 0; i < sizeof rules / sizeof *rules; i++) {
        const struct rule *rule = &rules[i];
        if ((rule->is_access && req->server->access_by_host) || is_removed(rule) || rule->holds(req))
            continue;
        refuse(req, rule);
        return false;
    }
    return true;
}
