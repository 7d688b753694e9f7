/* head.c - is a request's head well-formed? Stricter than libmicrohttpd, which in its lenient places (two Hosts, NUL in a value,
 * two lengths, a length beside chunks) leaves open what was meant; a request that can be read in two ways is refused.
 *
 * The query is cut and decoded here from its raw form: libmicrohttpd's own decoding leaves bad escapes as they are.
 */
#include <ctype.h>
#include <string.h>
#include <strings.h>

#include "internal.h"

/* ---- Query ---- */

static int hex_digit(char c)
{
    return c >= '0' && c <= '9' ? c - '0' : c >= 'a' && c <= 'f' ? c - 'a' + 10 : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The byte that "%XX" stands for; -1 if that is no escape or stands for NUL. */
static int escaped_byte(const char *at)
{
    int high = hex_digit(at[1]), low = high < 0 ? -1 : hex_digit(at[2]);
    return low < 0 || high + low == 0 ? -1 : high << 4 | low;
}

bool ttap__unescape(char *text)
{
    char *out = text;
    for (; *text; text++, out++) {
        int byte = *text == '+' ? ' ' : *text == '%' ? escaped_byte(text) : (unsigned char)*text;
        if (byte < 0)
            return false;
        text += *text == '%' ? 2 : 0;
        *out = (char)byte;
    }
    *out = 0;
    return true;
}

static const char *take_param(char *piece, struct param *param)
{
    char *equals = strchr(piece, '=');
    if (!equals)
        return "a query parameter has no '='";
    *equals = 0;
    *param = (struct param){piece, equals + 1};
    if (!ttap__unescape(param->name) || !ttap__unescape(param->value))
        return "the query has a '%' that is not followed by two hexadecimal digits, or stands for NUL";
    return *param->name ? NULL : "a query parameter has no name";
}

const char *ttap__query_parse(char *query, struct param *params, size_t max, size_t *count)
{
    *count = 0;
    if (!*query)
        return NULL;
    for (char *piece = query, *end; piece; piece = end) {
        end = strchr(piece, '&');
        if (end)
            *end++ = 0;
        if (*count == max)
            return "the query has too many parameters";
        const char *wrong = take_param(piece, &params[*count]);
        if (wrong)
            return wrong;
        ++*count;
    }
    return NULL;
}

/* ---- Host ---- */

static bool port_is_valid(const char *port)
{
    size_t len = strspn(port, "0123456789");
    return len <= 5 && !port[len];
}

static size_t host_len(const char *value)
{
    if (*value != '[')
        return strspn(value, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_");
    size_t inside = strspn(value + 1, "0123456789abcdefABCDEF:.");
    return inside && value[1 + inside] == ']' ? inside + 2 : 0;
}

bool ttap__host_split(const char *value, const char **out, size_t *out_len)
{
    size_t len = host_len(value);
    *out = value;
    *out_len = len;
    return len && len <= TTAP__HOST_MAX && (!value[len] || (value[len] == ':' && port_is_valid(value + len + 1)));
}

/* ---- Headers ---- */

struct walk {
    struct ttap__request *req;
    unsigned count;
    const char *wrong; /* what the client is told */
};

static bool is_token(const char *name, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (!isalnum((unsigned char)name[i]) && (!name[i] || !strchr("!#$%&'*+-.^_`|~", name[i])))
            return false;
    return len > 0;
}

static bool is_text(const char *value, size_t len)
{
    for (size_t i = 0; i < len; i++)
        if (((unsigned char)value[i] < 0x20 && value[i] != '\t') || value[i] == 0x7f)
            return false;
    return true;
}

/* Where a header that may be given once is kept; NULL for those we do not look at. */
static const char **place_of(struct head *head, const char *name)
{
    const struct {
        const char *name, **place;
    } known[] = {
        {"Host", &head->host},
        {"Origin", &head->origin},
        {"Sec-Fetch-Site", &head->fetch_site},
        {"Authorization", &head->authorization},
        {"Content-Type", &head->content_type},
        {"Content-Length", &head->content_length},
        {"Transfer-Encoding", &head->transfer_encoding},
    };
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcasecmp(name, known[i].name) == 0)
            return known[i].place;
    return NULL;
}

static const char *take_header(struct walk *walk, const char *name, size_t name_len, const char *value, size_t value_len)
{
    if (!is_token(name, name_len))
        return "a header's name is not a token";
    if (!is_text(value, value_len))
        return "a header's value holds a control character";
    if (++walk->count > TTAP__HEADERS_MAX)
        return "there are more than 64 headers";
    const char **place = place_of(&walk->req->head, name);
    if (place && *place)
        return "a header that may be given once is given twice";
    if (place)
        *place = value;
    return NULL;
}

/* All are walked even when one was wrong: whether a body was declared decides how the refusal can be sent. */
static enum MHD_Result on_header(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value, size_t value_len)
{
    struct walk *walk = arg;
    (void)kind;
    const char *wrong = take_header(walk, name, name_len, value ? value : "", value ? value_len : 0);
    walk->wrong = walk->wrong ? walk->wrong : wrong;
    return MHD_YES;
}

static const char *check_framing(const struct ttap__request *req)
{
    const struct head *head = &req->head;
    if (head->content_length && head->transfer_encoding)
        return "both Content-Length and Transfer-Encoding are given";
    if (head->transfer_encoding && strcasecmp(head->transfer_encoding, "chunked") != 0)
        return "the only Transfer-Encoding understood is chunked";
    if (head->transfer_encoding && req->http_1_0)
        return "HTTP/1.0 has no Transfer-Encoding";
    if (head->content_length && (!*head->content_length || head->content_length[strspn(head->content_length, "0123456789")]))
        return "the Content-Length is not a number";
    return NULL;
}

static bool declares_body(const struct head *head)
{
    return head->transfer_encoding || (head->content_length && head->content_length[strspn(head->content_length, "0")]);
}

static enum ttap__method method_of(const char *name)
{
    static const struct {
        const char *name;
        enum ttap__method method;
    } known[] = {{"GET", TTAP__GET}, {"HEAD", TTAP__HEAD}, {"POST", TTAP__POST}, {"PUT", TTAP__PUT}, {"DELETE", TTAP__DELETE}};
    for (size_t i = 0; i < sizeof known / sizeof *known; i++)
        if (strcmp(name, known[i].name) == 0)
            return known[i].method;
    return 0;
}

static const char *check_host(const struct head *head)
{
    const char *host;
    size_t len;
    if (!head->host)
        return "the Host header is missing";
    return ttap__host_split(head->host, &host, &len) ? NULL : "the Host header is not a host with an optional port";
}

/* A path decoded in the wrong place has opened many doors. Ours need no escape, so one is checked here and never decoded. */
static const char *check_path(const struct ttap__request *req)
{
    if (req->path[0] != '/')
        return "the path does not begin with '/'";
    for (const char *at = req->path; *at; at++) {
        if ((unsigned char)*at <= 0x20 || *at == 0x7f)
            return "the path holds a control character";
        if (*at == '%' && !req->server->mounted && escaped_byte(at) < 0)
            return "the path has a '%' that is not followed by two hexadecimal digits, or stands for NUL";
    }
    return NULL;
}

static enum MHD_Result on_param(void *arg, enum MHD_ValueKind kind, const char *name, size_t name_len, const char *value, size_t value_len)
{
    struct walk *walk = arg;
    struct ttap__request *req = walk->req;
    (void)kind;
    if (!value)
        walk->wrong = "a query parameter has no '='";
    else if (!name_len || strlen(name) != name_len || strlen(value) != value_len)
        walk->wrong = "a query parameter has no name, or holds NUL";
    else if (req->param_count == TTAP__PARAMS_MAX)
        walk->wrong = "the query has too many parameters";
    else
        req->params[req->param_count++] = (struct param){(char *)(uintptr_t)name, (char *)(uintptr_t)value};
    return walk->wrong ? MHD_NO : MHD_YES;
}

/* In somebody else's daemon the raw query is not to be had: its decoded parameters must do. */
static const char *read_params(struct ttap__request *req)
{
    struct walk walk = {req, 0, NULL};
    if (!req->server->mounted)
        return req->query ? ttap__query_parse(req->query, req->params, TTAP__PARAMS_MAX, &req->param_count) : NULL;
    MHD_get_connection_values_n(req->connection, MHD_GET_ARGUMENT_KIND, on_param, &walk);
    return walk.wrong;
}

bool ttap__head_read(struct ttap__request *req, const char *method, const char *version)
{
    struct walk walk = {req, 0, NULL};
    req->method = method_of(method);
    req->http_1_0 = strcmp(version, "HTTP/1.0") == 0;
    MHD_get_connection_values_n(req->connection, MHD_HEADER_KIND, on_header, &walk);
    req->has_body = declares_body(&req->head);
    /* libmicrohttpd holds an early answer back until the whole body has come, unless it is POST or PUT: there we write it ourselves. */
    req->raw = req->has_body && req->method != TTAP__POST && req->method != TTAP__PUT;
    const char *wrong = walk.wrong;
    wrong = wrong ? wrong : check_framing(req);
    wrong = wrong || req->http_1_0 || strcmp(version, "HTTP/1.1") == 0 ? wrong : "the version is neither HTTP/1.1 nor HTTP/1.0";
    wrong = wrong ? wrong : check_host(&req->head);
    wrong = wrong ? wrong : check_path(req);
    wrong = wrong ? wrong : read_params(req);
    if (!wrong)
        return true;
    bool many = walk.count > TTAP__HEADERS_MAX;
    ttap__reply_error(req, many ? 431 : 400, many ? "headers_too_large" : "bad_request", NULL, NULL, "%s", wrong);
    return false;
}
