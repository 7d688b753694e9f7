/* test_others.c - what else ran on the CPUs, from who left and who came at each switch. */
#include <stdlib.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "arena.h"
#include "clerk.h"
#include "others.h"
#include "statements.h"
#include "tracetap/tracetap.h"

enum { NOBODY = 0, SSHD = 70, CRON = 80 };

static struct ttap__other told;

/* A tick is a third of a nanosecond. */
static struct ttap__moment later(uint64_t us, uint64_t ns)
{
    return (struct ttap__moment){us * 1000 + ns, (us * 1000 + ns) * 3};
}

static struct ttap__moment us(uint64_t us)
{
    return later(us, 0);
}

static bool is_told(uint32_t cpu, int pid, struct ttap__moment since)
{
    return told.cpu == cpu && told.pid == pid && told.since.ns == since.ns && told.since.ticks == since.ticks;
}

static void a_stretch_lasts_while_threads_of_one_process_follow_each_other(void)
{
    ttap__others_start(us(1000));
    CU_ASSERT_FALSE(ttap__others_switch(1, NOBODY, SSHD, us(2000), &told));
    CU_ASSERT_FALSE(ttap__others_switch(1, SSHD, SSHD, us(2030), &told));
    CU_ASSERT_FALSE(ttap__others_switch(0, NOBODY, CRON, us(2040), &told));
    CU_ASSERT(ttap__others_switch(1, SSHD, CRON, us(2060), &told) && is_told(1, SSHD, us(2000)));
    CU_ASSERT(ttap__others_switch(1, CRON, NOBODY, us(2110), &told) && is_told(1, CRON, us(2060)));
    CU_ASSERT_FALSE(ttap__others_switch(1, NOBODY, SSHD, us(9000), &told));
}

static void a_short_stretch_is_left_out(void)
{
    ttap__others_start(us(1000));
    ttap__others_switch(0, NOBODY, SSHD, us(2000), &told);
    CU_ASSERT_FALSE(ttap__others_switch(0, SSHD, NOBODY, later(2000, TTAP__OTHER_MIN_NS - 1), &told));
    ttap__others_switch(0, NOBODY, SSHD, us(3000), &told);
    CU_ASSERT(ttap__others_switch(0, SSHD, NOBODY, later(3000, TTAP__OTHER_MIN_NS), &told));
}

static void who_is_found_on_a_cpu_has_been_there_since_the_start(void)
{
    ttap__others_start(us(1000));
    CU_ASSERT(ttap__others_switch(3, SSHD, NOBODY, us(5000), &told) && is_told(3, SSHD, us(1000)));
    CU_ASSERT_FALSE(ttap__others_switch(2, NOBODY, SSHD, us(5000), &told));
}

static void what_goes_on_at_an_edge_is_told_up_to_it(void)
{
    uint32_t cpu = 0;
    ttap__others_start(us(1000));
    ttap__others_switch(1, NOBODY, SSHD, us(2000), &told);
    ttap__others_switch(2, NOBODY, NOBODY, us(2000), &told);
    ttap__others_switch(4, NOBODY, CRON, us(2500), &told);
    CU_ASSERT(ttap__others_cut(&cpu, us(3000), &told) && is_told(1, SSHD, us(2000)));
    cpu++;
    CU_ASSERT(ttap__others_cut(&cpu, us(3000), &told) && is_told(4, CRON, us(2500)));
    cpu++;
    CU_ASSERT_FALSE(ttap__others_cut(&cpu, us(3000), &told));
    CU_ASSERT(ttap__others_switch(1, SSHD, NOBODY, us(4000), &told) && is_told(1, SSHD, us(3000)));
}

static void what_lies_before_a_loss_is_not_told(void)
{
    ttap__others_start(us(1000));
    ttap__others_switch(1, NOBODY, SSHD, us(2000), &told);
    ttap__others_lost(1, us(4000));
    ttap__others_lost(7, us(4000)); /* nothing of it is known */
    CU_ASSERT_FALSE(ttap__others_switch(1, SSHD, CRON, us(5000), &told));
    CU_ASSERT(ttap__others_switch(1, CRON, NOBODY, us(6000), &told) && is_told(1, CRON, us(5000)));
}

static void a_cpu_beyond_all_tables_is_left_out(void)
{
    uint32_t cpu = 0;
    ttap__others_start(us(1000));
    CU_ASSERT_FALSE(ttap__others_switch(UINT32_MAX, SSHD, NOBODY, us(5000), &told));
    CU_ASSERT_FALSE(ttap__others_switch(256, SSHD, NOBODY, us(5000), &told));
    ttap__others_lost(256, us(6000));
    CU_ASSERT_FALSE(ttap__others_cut(&cpu, us(7000), &told));
}

/* A slash begins what changes: the names of the kernel's own threads have a CPU behind it, and what they do. */
static void a_process_goes_by_its_name_up_to_a_slash_until_it_has_another(void)
{
    CU_ASSERT_PTR_NOT_NULL_FATAL(ttap__arena());
    if (!ttap__clerk_hire()) {
        printf("(no clerk here) ");
        return;
    }
    ttap__others_start(us(1000));
    prctl(PR_SET_NAME, "worker/7:1", 0, 0, 0);
    CU_ASSERT_EQUAL(ttap__others_name(getpid()), ttap_name("worker"));
    prctl(PR_SET_NAME, "renamed", 0, 0, 0);
    CU_ASSERT_EQUAL(ttap__others_name(getpid()), ttap_name("worker"));
    ttap__others_forget(getpid() + 1);
    CU_ASSERT_EQUAL(ttap__others_name(getpid()), ttap_name("worker"));
    ttap__others_forget(getpid());
    CU_ASSERT_EQUAL(ttap__others_name(getpid()), ttap_name("renamed"));
    CU_ASSERT_EQUAL(ttap__others_name(0x7fffffff), ttap_name("")); /* no process has that number */
    ttap__clerk_dismiss();
}

static CU_TestInfo statements[] = {
    {"a stretch lasts while threads of one process follow each other", a_stretch_lasts_while_threads_of_one_process_follow_each_other},
    {"a short stretch is left out", a_short_stretch_is_left_out},
    {"who is found on a CPU has been there since the start", who_is_found_on_a_cpu_has_been_there_since_the_start},
    {"what goes on at an edge is told up to it", what_goes_on_at_an_edge_is_told_up_to_it},
    {"what lies before a loss is not told", what_lies_before_a_loss_is_not_told},
    {"a CPU beyond all tables is left out", a_cpu_beyond_all_tables_is_left_out},
    {"a process goes by its name up to a slash until it has another", a_process_goes_by_its_name_up_to_a_slash_until_it_has_another},
    CU_TEST_INFO_NULL,
};

int main(void)
{
    return run_statements(statements);
}
