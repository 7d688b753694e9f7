/* gate_main.c - gate_seen() linked into a program. */
#include "gate_seen.h"

int main(void)
{
    return gate_seen();
}
