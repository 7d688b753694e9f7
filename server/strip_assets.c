/* strip_assets.c - a module or style sheet without comments, indentation and blanks between signs; run on the build machine when assets are embedded.
 *
 *   strip_assets js|css < source > embedded
 *
 * The sources are written for readers and served as they are from a directory; what goes into the library needs no comments.
 * Nothing is renamed or reordered, and wherever two tokens were on different lines they still are, so automatic semicolons stay
 * where they were. Texts, templates and regular expressions are copied byte for byte.
 *
 * Whether a slash divides or opens a regular expression depends on what stands before it. After ')' that is known from the word
 * before its '('; after '}' it would take a parser, and then this says so and fails rather than guess.
 */
#include <ctype.h>
#include <errno.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

/* Deeper nesting than anybody writes; the nesting is of () [] {} and `${`. */
#define DEPTH_MAX 256
#define SOURCE_BYTES_MAX (4 << 20)

enum before { BEFORE_VALUE, BEFORE_OPERATOR, BEFORE_BRACE }; /* what the last token was, as far as a slash cares */

struct strip {
    const char *at, *end;
    unsigned line;
    bool newline, space; /* between the last token and the next */
    char last;           /* of the last token */
    bool started;
    enum before before;
    bool keyword_paren; /* the last token was if, while, for or with: what follows its ) is a statement */
    bool after_dot;
    char open[DEPTH_MAX]; /* '(' '[' '{', 'k' for the ( of a keyword, '$' for a template's hole */
    int depth;
};

static _Noreturn void fail(const struct strip *s, const char *format, ...)
{
    va_list args;
    va_start(args, format);
    fprintf(stderr, "line %u: ", s->line);
    vfprintf(stderr, format, args);
    fputc('\n', stderr);
    va_end(args);
    exit(1);
}

static char peek(const struct strip *s, int ahead)
{
    return s->end - s->at > ahead ? s->at[ahead] : '\0';
}

static bool is_word(char c)
{
    return isalnum((unsigned char)c) || c == '_' || c == '$' || (unsigned char)c >= 0x80;
}

/* Two tokens of a module that would be another one, or others, without the blank between them: words; signs that count, and what looks like the begin
 * or end of a comment; an expression and a word, which would be its flags; a number and a dot. */
static bool would_join(char last, char next)
{
    if (is_word(last))
        return is_word(next) || next == '#' || (isdigit((unsigned char)last) && next == '.');
    if (last == '/')
        return is_word(next) || next == '/' || next == '*';
    return (last == '+' && next == '+') || (last == '-' && (next == '-' || next == '>')) || (last == '<' && next == '!');
}

/* What was between the tokens: one line end, or one blank, or nothing. */
static void put_gap(struct strip *s, bool js)
{
    if (s->started && s->newline)
        putchar('\n');
    else if (s->started && s->space && !(js && !would_join(s->last, *s->at)))
        putchar(' ');
    s->newline = s->space = false;
    s->started = true;
}

static void put(struct strip *s, size_t bytes)
{
    for (; bytes > 0; bytes--, s->at++) {
        s->line += *s->at == '\n';
        s->last = *s->at;
        putchar(*s->at);
    }
}

static void skip_blank(struct strip *s)
{
    if (*s->at == '\n') {
        s->newline = true;
        s->line++;
    } else {
        s->space = true;
    }
    s->at++;
}

/* A comment of several lines counts as a line end, as it does for the language. */
static void skip_block_comment(struct strip *s)
{
    const char *from = s->at;
    for (s->at += 2; !(peek(s, 0) == '*' && peek(s, 1) == '/'); s->at++) {
        if (s->at >= s->end)
            fail(s, "a comment is not closed");
        if (*s->at == '\n') {
            s->newline = true;
            s->line++;
        }
    }
    s->at += 2;
    s->space |= s->at > from;
}

static void skip_line_comment(struct strip *s)
{
    while (s->at < s->end && *s->at != '\n')
        s->at++;
}

static void put_text(struct strip *s, bool may_span_lines)
{
    const char quote = *s->at;
    put(s, 1);
    while (peek(s, 0) != quote) {
        if (s->at >= s->end || (*s->at == '\n' && !may_span_lines))
            fail(s, "a text is not closed");
        put(s, *s->at == '\\' && s->end - s->at > 1 ? 2 : 1);
    }
    put(s, 1);
}

static void put_regex(struct strip *s)
{
    bool in_class = false;
    put(s, 1);
    for (char c = peek(s, 0); c != '/' || in_class; c = peek(s, 0)) {
        if (s->at >= s->end || c == '\n')
            fail(s, "a regular expression is not closed");
        if (c == '[')
            in_class = true;
        else if (c == ']')
            in_class = false;
        put(s, c == '\\' ? 2 : 1);
    }
    put(s, 1);
    while (is_word(peek(s, 0)))
        put(s, 1);
    s->before = BEFORE_VALUE;
}

static void enter(struct strip *s, char kind)
{
    if (s->depth == DEPTH_MAX)
        fail(s, "nested more than %d deep", DEPTH_MAX);
    s->open[s->depth++] = kind;
}

/* From the opening ` or the } of a hole to the next ${ or the closing `. */
static void put_template(struct strip *s)
{
    put(s, 1);
    while (peek(s, 0) != '`') {
        if (s->at >= s->end)
            fail(s, "a template is not closed");
        if (peek(s, 0) == '$' && peek(s, 1) == '{') {
            put(s, 2);
            enter(s, '$');
            s->before = BEFORE_OPERATOR;
            return;
        }
        put(s, *s->at == '\\' && s->end - s->at > 1 ? 2 : 1);
    }
    put(s, 1);
    s->before = BEFORE_VALUE;
}

static bool is_one_of(const char *word, size_t length, const char *const *list)
{
    for (; *list; list++)
        if (strlen(*list) == length && memcmp(word, *list, length) == 0)
            return true;
    return false;
}

static void put_word(struct strip *s)
{
    static const char *const operators[] = {"return", "typeof", "case",  "in",    "of",         "new",     "delete",  "void", "throw",
                                            "else",   "do",     "yield", "await", "instanceof", "default", "extends", NULL};
    static const char *const before_parens[] = {"if", "while", "for", "with", NULL};
    const char *from = s->at;
    const bool is_number = isdigit((unsigned char)*from);
    while (s->at < s->end && (is_word(*s->at) || (is_number && *s->at == '.')))
        put(s, 1);
    const size_t length = (size_t)(s->at - from);
    const bool is_name = s->after_dot; /* a.return is a property */
    s->before = !is_name && is_one_of(from, length, operators) ? BEFORE_OPERATOR : BEFORE_VALUE;
    s->keyword_paren = !is_name && is_one_of(from, length, before_parens);
    s->after_dot = false;
}

static void leave(struct strip *s, char closing)
{
    if (s->depth == 0)
        fail(s, "'%c' closes nothing", closing);
    const char kind = s->open[--s->depth];
    if ((closing == ')') != (kind == '(' || kind == 'k') || (closing == ']') != (kind == '['))
        fail(s, "'%c' closes '%c'", closing, kind);
    s->before = kind == 'k' ? BEFORE_OPERATOR : closing == '}' ? BEFORE_BRACE : BEFORE_VALUE;
}

static void put_sign(struct strip *s)
{
    const char c = *s->at;
    const bool opens_keyword = s->keyword_paren;
    s->keyword_paren = false;
    s->after_dot = c == '.';
    if (c == '}' && s->depth > 0 && s->open[s->depth - 1] == '$') {
        s->depth--;
        put_template(s);
        return;
    }
    const bool counts = (c == '+' || c == '-') && peek(s, 1) == c; /* a++ / b divides, and ++/x/ is no expression */
    put(s, counts ? 2 : 1);
    if (strchr("([{", c))
        enter(s, c == '(' && opens_keyword ? 'k' : c);
    if (strchr(")]}", c))
        leave(s, c);
    else if (!counts)
        s->before = BEFORE_OPERATOR;
}

static void put_slash(struct strip *s)
{
    if (s->before == BEFORE_BRACE)
        fail(s, "a slash after } may be a division or an expression; write it so that it follows something else");
    if (s->before == BEFORE_OPERATOR)
        put_regex(s);
    else
        put_sign(s);
}

static void js_token(struct strip *s)
{
    const char c = *s->at;
    put_gap(s, true);
    if (c == '"' || c == '\'') {
        put_text(s, false);
        s->before = BEFORE_VALUE;
    } else if (c == '`') {
        put_template(s);
    } else if (is_word(c) || c == '#') {
        if (c == '#')
            put(s, 1);
        put_word(s);
    } else if (c == '/') {
        put_slash(s);
    } else {
        put_sign(s);
    }
}

static void css_token(struct strip *s)
{
    put_gap(s, false); /* "a :hover" is not "a:hover" */
    if (*s->at == '"' || *s->at == '\'')
        put_text(s, false);
    else
        put(s, *s->at == '\\' && s->end - s->at > 1 ? 2 : 1);
}

static void strip(struct strip *s, bool js)
{
    while (s->at < s->end) {
        if (isspace((unsigned char)*s->at))
            skip_blank(s);
        else if (*s->at == '/' && peek(s, 1) == '*')
            skip_block_comment(s);
        else if (js && *s->at == '/' && peek(s, 1) == '/')
            skip_line_comment(s);
        else if (js)
            js_token(s);
        else
            css_token(s);
    }
    if (s->depth > 0)
        fail(s, "'%c' is not closed", s->open[s->depth - 1]);
    if (s->started)
        putchar('\n');
}

int main(int argc, char **argv)
{
    static char source[SOURCE_BYTES_MAX];
    if (argc != 2 || (strcmp(argv[1], "js") != 0 && strcmp(argv[1], "css") != 0)) {
        fprintf(stderr, "usage: strip_assets js|css < source > embedded\n");
        return 2;
    }
    const size_t bytes = fread(source, 1, sizeof source, stdin);
    if (bytes == sizeof source) {
        fprintf(stderr, "the source is larger than %d bytes\n", SOURCE_BYTES_MAX);
        return 1;
    }
    strip(&(struct strip){.at = source, .end = source + bytes, .line = 1, .before = BEFORE_OPERATOR}, strcmp(argv[1], "js") == 0);
    return fflush(stdout) == 0 && !ferror(stdin) ? 0 : 1;
}
