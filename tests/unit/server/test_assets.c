/* test_assets.c - files from the table and from a directory. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "suite.h"
#include "trial.h"

static struct trial trial;
static struct http_reply reply;
static const char *folder;

static int get(const char *path, const char *headers)
{
    char request[512];
    snprintf(request, sizeof request, "GET /ui/%s HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", path, headers);
    int fd = http_connect(trial.port, 0);
    http_send_text(fd, request);
    http_read(fd, &reply, 5000);
    close(fd);
    return reply.status;
}

static void a_file_has_its_type_and_tag(void)
{
    CU_ASSERT_EQUAL(get("", ""), 200);
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "Content-Type: text/html; charset=utf-8"));
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "\r\n\r\n<!doctype html>"));
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "Cache-Control: no-cache"));
    CU_ASSERT_PTR_NULL(strstr(reply.bytes, "no-store"));
    CU_ASSERT_EQUAL(get("page/a.js", ""), 200);
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "Content-Type: text/javascript"));
    CU_ASSERT_EQUAL(get("empty.css", ""), 200);
    CU_ASSERT_PTR_NOT_NULL(strstr(reply.bytes, "Content-Length: 0"));
}

static void an_unchanged_file_is_not_sent_again(void)
{
    char header[200];
    get("page/a.js", "");
    const char *tag = strstr(reply.bytes, "ETag: ");
    CU_ASSERT_PTR_NOT_NULL_FATAL(tag);
    snprintf(header, sizeof header, "If-None-Match: \"x\", %.*s\r\n", (int)strcspn(tag + 6, "\r"), tag + 6);
    CU_ASSERT_EQUAL(get("page/a.js", header), 304);
    CU_ASSERT_EQUAL(get("index.html", header), 200);
    CU_ASSERT_EQUAL(get("page/a.js", "If-None-Match: *\r\n"), 304);
}

static void gzip_is_sent_to_those_who_take_it(void)
{
    get("page/a.js", "Accept-Encoding: br, gzip;q=0.5\r\n");
    if (!strstr(reply.bytes, "Content-Encoding: gzip")) {
        CU_ASSERT(system("command -v gzip >/dev/null") != 0);
        return;
    }
    CU_ASSERT(memcmp(strstr(reply.bytes, "\r\n\r\n") + 4, "\x1f\x8b", 2) == 0);
    get("page/a.js", "Accept-Encoding: gzip;q=0\r\n");
    CU_ASSERT_PTR_NULL(strstr(reply.bytes, "Content-Encoding"));
    get("page/a.js", "Accept-Encoding: xgzip\r\n");
    CU_ASSERT_PTR_NULL(strstr(reply.bytes, "Content-Encoding"));
}

static void nothing_else_is_served(void)
{
    static const char *const wrong[] = {
        "notes.md",           "nope.html",       "page",        "page/",      "/index.html", "./index.html", "page/../index.html",
        "../server/server.h", "..%2findex.html", "index.html/", "INDEX.HTML", ".hidden",     "page//a.js"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CU_ASSERT_EQUAL(get(wrong[i], ""), 404);
}

static void a_directory_is_served_as_it_is_and_no_further(void)
{
    char directory[] = "/tmp/ttap-files-XXXXXX", path[128], command[200];
    CU_ASSERT_PTR_NOT_NULL_FATAL(mkdtemp(directory));
    snprintf(command, sizeof command, "cp -r '%s/.' %s", folder, directory);
    CU_ASSERT_EQUAL(system(command), 0);
    snprintf(path, sizeof path, "%s/link.html", directory);
    CU_ASSERT_EQUAL(symlink("/etc/passwd", path), 0);
    snprintf(path, sizeof path, "%s/out", directory);
    CU_ASSERT_EQUAL(symlink("/etc", path), 0);
    snprintf(path, sizeof path, "%s/pipe.js", directory);
    CU_ASSERT_EQUAL(mkfifo(path, 0600), 0);
    snprintf(path, sizeof path, "%s/.hidden", directory);
    CU_ASSERT_EQUAL(link("/proc/self/exe", path) == 0 || symlink("x", path) == 0, 1);
    trial.directory = directory;
    CU_ASSERT_EQUAL(get("", ""), 200);
    CU_ASSERT_EQUAL(get("page/a.js", ""), 200);
    static const char *const wrong[] = {"link.html", "out/passwd",         "pipe.js",   "page", "../etc/passwd", "/etc/passwd",
                                        ".hidden",   "page/../index.html", "page//a.js"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        CU_ASSERT_EQUAL(get(wrong[i], ""), 404);
    trial.directory = NULL;
    snprintf(command, sizeof command, "rm -r %s", directory);
    CU_ASSERT_EQUAL(system(command), 0);
}

int main(int argc, char **argv)
{
    CU_TestInfo tests[] = {
        {"a file has its type and tag", a_file_has_its_type_and_tag},
        {"an unchanged file is not sent again", an_unchanged_file_is_not_sent_again},
        {"gzip is sent to those who take it", gzip_is_sent_to_those_who_take_it},
        {"nothing else is served", nothing_else_is_served},
        {"a directory is served as it is and no further", a_directory_is_served_as_it_is_and_no_further},
        CU_TEST_INFO_NULL,
    };
    if (argc != 2)
        return 2;
    folder = argv[1];
    trial_start(&trial, (struct ttap__server_config){0});
    if (trial.result)
        return 2;
    int failed = run_suite("assets", tests);
    trial_stop(&trial);
    return failed;
}
