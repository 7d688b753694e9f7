/* broken_libdw.c - preloaded into the command: a libdw that does not survive what it reads. */
#include <signal.h>
#include <stddef.h>

void *dwarf_getsrc_die(void *unit, unsigned long address);

void *dwarf_getsrc_die(void *unit, unsigned long address)
{
    (void)unit, (void)address;
    raise(SIGKILL);
    return NULL;
}
