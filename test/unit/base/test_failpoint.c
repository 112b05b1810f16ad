/* failpoint.c: which pass of which name ends the process, and which texts are refused. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/failpoint.h"

/* A child with MD_FAILPOINT=`text` passes "a" three times, "ab" once. Returns how many passes it
 * lived through before SIGKILL, 4 when it lived through all, -1 when the text was refused. */
static int passes_survived(const char *text)
{
    int ends[2];
    int passes = 0;
    int status = 0;
    char byte;
    assert_int_equal(pipe(ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        setenv("MD_FAILPOINT", text, 1);
        if (!failpoint_init()) {
            _exit(9);
        }
        for (int i = 0; i < 3; i++) {
            FAILPOINT("a");
            (void)!write(ends[1], "x", 1);
        }
        FAILPOINT("ab");
        (void)!write(ends[1], "x", 1);
        _exit(0);
    }
    close(ends[1]);
    while (read(ends[0], &byte, 1) == 1) {
        passes++;
    }
    close(ends[0]);
    assert_true(waitpid(child, &status, 0) == child);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 9) {
        return -1;
    }
    assert_int_equal(passes < 4, WIFSIGNALED(status));
    if (WIFSIGNALED(status)) {
        assert_int_equal(WTERMSIG(status), SIGKILL);
    }
    return passes;
}

static void failpoint_kills_at_the_named_pass(void **state)
{
    (void)state;
    assert_int_equal(passes_survived("a"), 0);
    assert_int_equal(passes_survived("a:1"), 0);
    assert_int_equal(passes_survived("a:3"), 2);
    assert_int_equal(passes_survived("a:4"), 4);
    assert_int_equal(passes_survived("ab"), 3);
    assert_int_equal(passes_survived("b"), 4);
    assert_int_equal(passes_survived(""), 4);
}

static void failpoint_refuses_other_texts(void **state)
{
    (void)state;
    static const char *const texts[] = {":1", "a:", "a:0", "a:-1", "a: 1", "a:1x", "a:+1"};
    for (size_t i = 0; i < sizeof texts / sizeof texts[0]; i++) {
        assert_int_equal(passes_survived(texts[i]), -1);
    }
}

static void failpoint_is_off_without_init(void **state)
{
    (void)state;
    setenv("MD_FAILPOINT", "a", 1);
    FAILPOINT("a");
    unsetenv("MD_FAILPOINT");
    assert_true(failpoint_init());
    assert_false(failpoint_armed);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(failpoint_kills_at_the_named_pass),
        cmocka_unit_test(failpoint_refuses_other_texts),
        cmocka_unit_test(failpoint_is_off_without_init),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
