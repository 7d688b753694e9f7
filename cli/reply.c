/* reply.c - see reply.h. */
#include "reply.h"

#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "cli.h"
#include "text.h"

enum { REPLY_BYTES_MAX = 64 * 1024 };

int cli_reply_keep(struct cli_reply *reply, const void *bytes, size_t len)
{
    if (len > REPLY_BYTES_MAX - reply->len)
        len = REPLY_BYTES_MAX - reply->len;
    char *grown = realloc(reply->bytes, reply->len + len + 1);
    if (!grown)
        return -1;
    memcpy(grown + reply->len, bytes, len);
    reply->bytes = grown;
    reply->len += len;
    grown[reply->len] = 0;
    return 0;
}

static void say_json_error(long status, const json_t *error)
{
    const char *message = json_string_value(json_object_get(error, "message"));
    const char *hint = json_string_value(json_object_get(error, "hint"));

    cli_error("the service answered %ld: %s", status, message ? message : "without saying why");
    if (hint && *hint)
        cli_error("hint: %s", hint);
}

int cli_reply_refused(struct cli_reply *reply, const char *url, long status)
{
    json_t *body = reply->bytes ? json_loadb(reply->bytes, reply->len, 0, NULL) : NULL;
    json_t *error = json_object_get(body, "error");

    if (json_is_object(error)) {
        say_json_error(status, error);
    } else {
        if (reply->bytes)
            reply->bytes[strcspn(reply->bytes, "\r\n")] = 0;
        cli_error("%s answered %ld%s%s; is it a tracetap endpoint?", url, status, reply->bytes ? ": " : "", reply->bytes ? reply->bytes : "");
    }
    json_decref(body);
    return CLI_FAILED;
}

void cli_reply_free(struct cli_reply *reply)
{
    free(reply->bytes);
    *reply = (struct cli_reply){0};
}
