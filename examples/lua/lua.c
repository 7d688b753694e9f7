/* lua - a collector that tells of itself: Lua's incremental one, stepped between requests and bracketed with ttap_gc_begin() and ttap_gc_end().
 *
 *      request | step | request | step | request | ...          the collector works where the program lets it
 *      |cycle ..............................| |cycle ...        from the first step to the one that ends a cycle
 *
 *      ./lua &
 *      curl -o lua.ttap 'localhost:6060/debug/trace?seconds=2'        then look at GC in the viewer
 *
 * A collector of your own does the same around its phases, also with the world stopped: these calls take no lock and no memory.
 */
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <lauxlib.h>
#include <lualib.h>
#include <tracetap/http.h>

static const char script[] = "local sessions = {}\n"
                             "function handle(number)\n"
                             "    local session = { number = number, lines = {} }\n"
                             "    for i = 1, 200 do session.lines[i] = 'line ' .. number .. ':' .. i end\n"
                             "    sessions[number % 100] = session\n"
                             "    return #session.lines\n"
                             "end\n";

static volatile sig_atomic_t stopping;
static unsigned long cycles;

static void stop(int signal_number)
{
    (void)signal_number;
    stopping = 1;
}

static bool handle_request(lua_State *lua, int number)
{
    struct ttap_task task;
    TTAP_TASK_BEGIN(&task, "request", NULL);
    TTAP_TASK_SCOPE(&task);
    lua_getglobal(lua, "handle");
    lua_pushinteger(lua, number);
    bool ok = lua_pcall(lua, 1, 1, 0) == LUA_OK;
    if (!ok)
        ttap_task_fail(&task, 1, lua_tostring(lua, -1));
    else
        ttap_task_end(&task);
    lua_pop(lua, 1);
    return ok;
}

/* One step of the collector, which does not run by itself; it says when that was the last one of a cycle. */
static void collect_a_little(lua_State *lua)
{
    static bool in_cycle;
    if (!in_cycle)
        TTAP_GC_BEGIN("cycle");
    TTAP_GC_BEGIN("step");
    in_cycle = !lua_gc(lua, LUA_GCSTEP, 16);
    TTAP_GC_END("step");
    if (!in_cycle) {
        TTAP_GC_END("cycle");
        cycles++;
    }
    TTAP_COUNTER("lua.heap_bytes", (int64_t)lua_gc(lua, LUA_GCCOUNT) * 1024 + lua_gc(lua, LUA_GCCOUNTB));
}

static int serve(lua_State *lua)
{
    for (int number = 1; !stopping; number++) {
        if (!handle_request(lua, number)) {
            fprintf(stderr, "lua: the script failed\n");
            return 1;
        }
        collect_a_little(lua);
        usleep(500);
    }
    printf("cycles: %lu\n", cycles);
    return 0;
}

int main(int argc, char **argv)
{
    struct ttap_http_opts opts = TTAP_HTTP_OPTS_INIT;
    struct ttap_http *http;
    struct sigaction action = {.sa_handler = stop};

    if (argc > 1)
        opts.port = (uint16_t)atoi(argv[1]); /* 0: any free one */
    lua_State *lua = luaL_newstate();
    if (!lua || luaL_dostring(lua, script) != LUA_OK) {
        fprintf(stderr, "lua: no memory\n");
        return 1;
    }
    lua_gc(lua, LUA_GCSTOP);
    if (ttap_http_start(&opts, &http) != 0) {
        fprintf(stderr, "lua: %s\n", ttap_http_error());
        return 1;
    }
    sigaction(SIGTERM, &action, NULL);
    sigaction(SIGINT, &action, NULL);
    printf("lua: http://127.0.0.1:%u/\n", ttap_http_port(http));
    fflush(stdout);
    int result = serve(lua);
    ttap_http_stop(http);
    lua_close(lua);
    return result;
}
