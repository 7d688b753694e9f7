/* gate_plugin_main.c - gate_seen() in a plug-in, loaded while the program runs, unloaded, and loaded again. argv[1]: the plug-in. */
#include <dlfcn.h>
#include <stdio.h>

static int load_and_check(const char *path)
{
    void *plugin = dlopen(path, RTLD_NOW | RTLD_LOCAL);
    int (*check)(int);
    int result;

    if (!plugin) {
        fprintf(stderr, "%s\n", dlerror());
        return 1;
    }
    *(void **)&check = dlsym(plugin, "gate_seen");
    result = check ? check(0) : 1;
    dlclose(plugin);
    return result;
}

int main(int argc, char **argv)
{
    if (argc != 2)
        return 2;
    return load_and_check(argv[1]) || load_and_check(argv[1]);
}
