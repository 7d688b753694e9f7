/* folder.h - how many entries a folder has: of /proc/self/fd and /proc/self/task, to see that nothing was left open or running. */
#ifndef TTAP_TEST_FOLDER_H
#define TTAP_TEST_FOLDER_H

#include <dirent.h>

/* With the two of dots, and with the descriptor that looks. -1: there is none. */
static inline int folder_entries(const char *folder)
{
    DIR *dir = opendir(folder);
    int count = 0;
    if (!dir)
        return -1;
    while (readdir(dir))
        count++;
    closedir(dir);
    return count;
}

#endif
