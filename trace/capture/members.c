/* members.c - the keeper's side of a shared arena: making it, and noticing which processes are gone. */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "engine.h"
#include "init.h"
#include "share.h"

#define THREADS_BEHIND_STATE 17 /* fields of /proc/PID/stat from the state to the number of threads */

/* Also where its first thread has ended, which is a zombie until the last one has. */
static bool has_other_threads(const char *state)
{
    for (int i = 0; i < THREADS_BEHIND_STATE && state; i++) {
        state = strchr(state, ' ');
        state += state != NULL;
    }
    return state && atoi(state) > 1;
}

/* A zombie has ended too, and may stay one for as long as its parent likes. */
static bool process_is_gone(int32_t pid)
{
    char path[32], text[512];
    if (pid <= 0 || (kill(pid, 0) < 0 && errno == ESRCH))
        return true;
    snprintf(path, sizeof(path), "/proc/%d/stat", (int)pid);
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return false; /* /proc may be hidden from us, as of a process that is another user's by now */
    ssize_t n = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (n <= 0)
        return n < 0 && errno == ESRCH;
    text[n] = 0;
    const char *behind_name = strrchr(text, ')');
    return behind_name && behind_name[1] && (behind_name[2] == 'Z' || behind_name[2] == 'X') && !has_other_threads(behind_name + 2);
}

int ttap__traced_pid(void)
{
    int program = ttap__share_role == TTAP__SHARE_KEEPER ? ttap__share_program() : 0;
    return program ? program : getpid();
}

bool ttap__hooks_present(void)
{
    return ttap__hooks_linked || ttap__share_role == TTAP__SHARE_KEEPER;
}

int ttap__keeper_start(void)
{
    return ttap__share_create(ttap__budget_chunks());
}

unsigned ttap__keeper_members(void)
{
    unsigned alive = 0;
    uint32_t at = 0;
    for (int32_t pid; (pid = ttap__share_next_member(&at));) {
        if (!process_is_gone(pid)) {
            alive++;
            continue;
        }
        ttap__share_forget_member(pid);
        ttap__slots_end_of(pid);
    }
    return alive;
}
