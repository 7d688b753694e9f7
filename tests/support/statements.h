/* statements.h - the end of a CUnit test file: runs its table `statements`, each a sentence about behaviour. */
#ifndef TTAP_TEST_STATEMENTS_H
#define TTAP_TEST_STATEMENTS_H

#include <CUnit/Basic.h>
#include <stdio.h>

/* Leave a statement that ThreadSanitizer's runtime cannot follow. */
#if defined(__SANITIZE_THREAD__)
#define NOT_UNDER_TSAN(why)                                                                                                                          \
    do {                                                                                                                                             \
        printf("(not under ThreadSanitizer: " why ") ");                                                                                             \
        return;                                                                                                                                      \
    } while (0)
#else
#define NOT_UNDER_TSAN(why) ((void)0)
#endif

#if defined(__SANITIZE_ADDRESS__)
#define NOT_UNDER_ASAN(why)                                                                                                                          \
    do {                                                                                                                                             \
        printf("(not under AddressSanitizer: " why ") ");                                                                                            \
        return;                                                                                                                                      \
    } while (0)
#else
#define NOT_UNDER_ASAN(why) ((void)0)
#endif

static inline int run_statements(CU_TestInfo *statements)
{
    CU_SuiteInfo suites[] = {{"", NULL, NULL, NULL, NULL, statements}, CU_SUITE_INFO_NULL};
    setvbuf(stdout, NULL, _IONBF, 0); /* a test that crashes or forks shows what ran before */
    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
        return 2;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures ? 1 : 0;
}

#endif
