/* preload.c - joins the arena of `tracetap run` when the program is loaded. Nothing else: no thread, no descriptor, no output.
 *
 * TRACETAP_ARENA names the arena as a path (/proc/KEEPER/fd/N); programs that are exec()ed later find it in their environment too. Where
 * it cannot be opened - the keeper is gone, /proc is hidden, the program changed its user - the program runs as if we were not there.
 */
#include <fcntl.h>
#include <stdlib.h>

#include "share.h"
#include "stacks.h"
#include "sys.h"

static void join(const char *path)
{
    long fd = ttap__syscall6(SYS_openat, AT_FDCWD, (long)path, O_RDWR | O_CLOEXEC, 0, 0, 0);
    if (fd < 0)
        return;
    ttap__share_join((int)fd);
    ttap__syscall6(SYS_close, fd, 0, 0, 0, 0, 0);
}

/* Before the constructors of the program and its libraries (those of a preloaded object run first among equals only by priority). */
__attribute__((constructor(101))) static void join_arena(void)
{
    const char *path = secure_getenv("TRACETAP_ARENA");
    if (path && *path)
        join(path);
    ttap__stacks_warm_up(); /* nothing else in here runs outside the program's own calls */
}
