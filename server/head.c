/* head.c - is a request's head well-formed? Stricter than libmicrohttpd, which in its lenient places (two Hosts, NUL in a value,
 * two lengths, a length beside chunks) leaves open what was meant; a request that can be read in two ways is refused.
 *
 * libmicrohttpd 0.9 cuts names and values at a NUL, joins folded lines, skips blanks and takes a bare LF for a line's end, all without a
 * word. But it parses in place: separators became NULs, everything else stands where it came in. So each part is followed in memory,
 * and must begin exactly where the one before it ended:
 *
 *      GET 0 /hello 0 HTTP/1.1 00 Host 0 _ localhost 00 Origin 0 _ null 00 00
 *      ^method ^uri   ^version    ^name    ^value       ^name              ^method + size of the head
 *
 * libmicrohttpd 1.x copies, and refuses all of these by itself when it is strict.
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

static const char not_as_it_came[] = "the head holds a NUL, a bare line feed, a folded line, or blanks where none belong";

struct walk {
    struct ttap__request *req;
    unsigned count;
    const char *wrong; /* what the client is told */
    const char *next;  /* where the next header must begin; NULL: not to be followed */
};

static bool is_parsed_in_place(void)
{
    return strncmp(MHD_get_version(), "0.9.", 4) == 0;
}

/* The request line. @uri is as it was before libmicrohttpd decoded it; only a daemon of ours gets to see it. */
static const char *follow_line(struct walk *walk, const char *method, const char *version)
{
    const struct ttap__request *req = walk->req;
    if (!is_parsed_in_place())
        return NULL;
    walk->next = version + strlen(version) + 2;
    if (!req->uri_at)
        return NULL;
    return method + strlen(method) + 1 == req->uri_at && req->uri_at + req->uri_len + 1 == version ? NULL : not_as_it_came;
}

/* What stands between a name and its value was a colon and blanks. */
static const char *follow_header(struct walk *walk, const char *name, size_t name_len, const char *value, size_t value_len)
{
    if (!walk->next)
        return NULL;
    if (name != walk->next || !value || value < name + name_len + 1)
        return not_as_it_came;
    const char *at = name + name_len + 1;
    walk->next = value + value_len + 2;
    return at + strspn(at, " \t") >= value ? NULL : not_as_it_came;
}

static const char *follow_end(const struct walk *walk, const char *method)
{
    const union MHD_ConnectionInfo *info =
        walk->next ? MHD_get_connection_info(walk->req->connection, MHD_CONNECTION_INFO_REQUEST_HEADER_SIZE) : NULL;
    return !info || walk->next + 2 == method + info->header_size ? NULL : not_as_it_came;
}

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
    const char *misplaced = follow_header(walk, name, name_len, value, value_len);
    wrong = wrong ? wrong : misplaced;
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
    struct walk walk = {.req = req};
    if (!req->server->mounted)
        return req->query ? ttap__query_parse(req->query, req->params, TTAP__PARAMS_MAX, &req->param_count) : NULL;
    MHD_get_connection_values_n(req->connection, MHD_GET_ARGUMENT_KIND, on_param, &walk);
    return walk.wrong;
}

bool ttap__head_read(struct ttap__request *req, const char *method, const char *version)
{
    struct walk walk = {.req = req};
    req->method = method_of(method);
    req->http_1_0 = strcmp(version, "HTTP/1.0") == 0;
    const char *line = follow_line(&walk, method, version);
    MHD_get_connection_values_n(req->connection, MHD_HEADER_KIND, on_header, &walk);
    req->has_body = declares_body(&req->head);
    /* libmicrohttpd holds an early answer back until the whole body has come, unless it is POST or PUT: there we write it ourselves. */
    req->raw = req->has_body && req->method != TTAP__POST && req->method != TTAP__PUT;
    const char *wrong = walk.wrong ? walk.wrong : line;
    wrong = wrong ? wrong : follow_end(&walk, method);
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
