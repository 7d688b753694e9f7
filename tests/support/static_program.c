/* static_program.c - a program without a dynamic loader: nothing can be preloaded into it. It waits to be killed. */
#include <unistd.h>

int main(void)
{
    for (;;)
        pause();
}
