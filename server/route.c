/* route.c - which route a path means. Exact, but for one "{id}" segment or a "{rest}" at the end; the first match counts. */
#include <string.h>

#include "internal.h"

/* How far @path follows @pattern up to its '{', or to the end if it has none. NULL: it does not. */
static const char *follow(const char *pattern, const char *path, const char **brace)
{
    size_t fixed = strcspn(pattern, "{");
    if (strncmp(pattern, path, fixed) != 0)
        return NULL;
    *brace = pattern[fixed] ? pattern + fixed : NULL;
    return path + fixed;
}

static bool matches(const char *pattern, const char *path, const char **arg_at, size_t *arg_len)
{
    const char *brace, *rest = follow(pattern, path, &brace);
    *arg_at = NULL;
    if (!rest)
        return false;
    if (!brace)
        return !*rest;
    *arg_at = rest;
    if (strcmp(brace, "{rest}") == 0) {
        *arg_len = strlen(rest);
        return true;
    }
    *arg_len = strcspn(rest, "/");
    return *arg_len && strcmp(rest + *arg_len, strchr(brace, '}') + 1) == 0;
}

const struct ttap__route *ttap__route_find(const struct ttap__server *server, const char *path, const char **arg_at, size_t *arg_len)
{
    for (size_t i = 0; i < server->route_count; i++)
        if (matches(server->routes[i].path, path, arg_at, arg_len))
            return &server->routes[i];
    return NULL;
}

void ttap__route_allow(const struct ttap__route *route, char out[48])
{
    static const char *const names[] = {"GET", "HEAD", "POST", "PUT", "DELETE"};
    char *at = out;
    *at = 0;
    for (unsigned i = 0; i < 5; i++)
        if (route->methods & 1u << i) {
            at = at == out ? at : stpcpy(at, ", ");
            at = stpcpy(at, names[i]);
        }
}

static bool is_listed(const char *const *list, const char *name)
{
    for (; list && *list; list++)
        if (strcmp(*list, name) == 0)
            return true;
    return false;
}

static const char *wrong_with(const struct ttap__request *req, size_t index)
{
    const char *name = req->params[index].name;
    if (!is_listed(req->route->params, name))
        return "is not a parameter of this path";
    for (size_t i = 0; i < index; i++)
        if (strcmp(req->params[i].name, name) == 0)
            return "is given more than once";
    return NULL;
}

static void list_params(char *out, size_t size, const char *const *params)
{
    size_t used = 0;
    *out = 0;
    for (; params && *params && used + strlen(*params) + 3 < size; params++)
        used = (size_t)(stpcpy(stpcpy(out + used, used ? " " : ""), *params) - out);
}

bool ttap__route_params_check(struct ttap__request *req)
{
    for (size_t i = 0; i < req->param_count; i++) {
        const char *wrong = wrong_with(req, i);
        char known[200], hint[240] = "this path takes no parameters";
        if (!wrong)
            continue;
        list_params(known, sizeof known, req->route->params);
        if (*known)
            stpcpy(stpcpy(hint, "it takes: "), known);
        ttap__reply_error(req, 400, "bad_parameter", hint, NULL, "%.40s %s", req->params[i].name, wrong);
        return false;
    }
    return true;
}
