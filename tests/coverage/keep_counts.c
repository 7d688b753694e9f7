/* keep_counts.c - a process that ends with _exit(2), as forked children do, writes its coverage counts first. Linked into tests of the
 * coverage build only, with --wrap=_exit. */
#include <unistd.h>

int __llvm_profile_write_file(void);
void __real__exit(int status) __attribute__((noreturn));
void __wrap__exit(int status) __attribute__((noreturn));

void __wrap__exit(int status)
{
    __llvm_profile_write_file();
    __real__exit(status);
}
