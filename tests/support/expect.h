/* SPDX-License-Identifier: LGPL-2.1-or-later */
/* EXPECT: what a test in C needs. Included by the one file of a test program. */
#ifndef TESTS_EXPECT_H
#define TESTS_EXPECT_H

#include <basin/basin.h>

#include <stdio.h>
#include <string.h>

static int expect_failures;

/** The error object that EXPECT_CODE() looks at: pass &error to the call. */
static basin_error* error;

static inline int expect_true(int holds, const char* what, const char* file, int line)
{
    if (!holds) {
        fprintf(stderr, "%s:%d: not so: %s\n", file, line, what);
        ++expect_failures;
    }
    return holds;
}

static inline int expect_code(int code, int expected, const char* what, const char* file, int line)
{
    const int holds = code == expected && code == basin_error_code(error);

    if (!holds) {
        fprintf(stderr, "%s:%d: %s\n  gave %s, not %s: %s\n  %s\n", file, line, what,
                basin_error_name(code), basin_error_name(expected), basin_error_message(error),
                basin_error_detail(error));
        ++expect_failures;
    }
    basin_error_free(error);
    error = NULL;
    return holds;
}

/** Counts a failure, and tells about it, unless the condition holds. */
#define EXPECT(condition) expect_true(!!(condition), #condition, __FILE__, __LINE__)
/** Expects a call that was given &error to return the code, and the error object to agree. */
#define EXPECT_CODE(call, code) expect_code(call, code, #call, __FILE__, __LINE__)
#define EXPECT_OK(call) EXPECT_CODE(call, BASIN_OK)
#define EXPECT_TEXT(text, expected) EXPECT(strcmp(text, expected) == 0)

/** The exit code of main(). */
static inline int failures(void)
{
    return expect_failures ? 1 : 0;
}

#endif
