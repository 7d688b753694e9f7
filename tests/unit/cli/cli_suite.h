/* cli_suite.h - the end of every test file here: runs the table `tests`. */
#ifndef CLI_SUITE_H
#define CLI_SUITE_H

int main(void)
{
    CU_SuiteInfo suites[] = {{"cli", NULL, NULL, NULL, NULL, tests}, CU_SUITE_INFO_NULL};

    if (CU_initialize_registry() != CUE_SUCCESS || CU_register_suites(suites) != CUE_SUCCESS)
        return 2;
    CU_basic_set_mode(CU_BRM_VERBOSE);
    CU_basic_run_tests();
    unsigned failures = CU_get_number_of_failures();
    CU_cleanup_registry();
    return failures ? 1 : 0;
}

#endif
