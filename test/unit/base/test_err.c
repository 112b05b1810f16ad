#include "base_fixture.h"

#include <errno.h>

#include "base/assert.h"
#include "base/err.h"

static void err_names_text_and_class_come_from_the_list(void **state)
{
    (void)state;
    assert_string_equal(err_name(MD_EIO), "MD_EIO");
    assert_string_equal(err_text(MD_EIO), "input/output error");
    assert_int_equal(err_class_of(MD_EIO), ERR_CLASS_RETRY);
    assert_string_equal(err_name(MD_EGAP), "MD_EGAP");
    assert_int_equal(err_class_of(MD_EGAP), ERR_CLASS_RESYNC);
    assert_string_equal(err_name(MD_EMFILE), "MD_EMFILE");
    assert_string_equal(err_text(MD_EMFILE), "too many open files");
}

static void err_codes_are_negative_and_differ(void **state)
{
    (void)state;
    static const int codes[] = {
#define X(name, value, class, text) name,
        MD_ERROR_LIST(X)
#undef X
    };
    for (size_t i = 0; i < sizeof codes / sizeof codes[0]; i++) {
        assert_true(codes[i] < 0);
        for (size_t j = 0; j < i; j++) {
            assert_int_not_equal(codes[i], codes[j]);
        }
    }
}

static void err_of_an_unknown_code_is_never_null(void **state)
{
    (void)state;
    assert_string_equal(err_name(-9999), "MD_E?");
    assert_non_null(err_text(-9999));
    assert_non_null(err_text(0));
    assert_int_equal(err_class_of(-9999), ERR_CLASS_FATAL);
}

static void err_from_errno_knows_the_common_ones_and_takes_others_for_eio(void **state)
{
    (void)state;
    assert_int_equal(err_from_errno(0), 0);
    assert_int_equal(err_from_errno(ENOSPC), MD_ENOSPC);
    assert_int_equal(err_from_errno(EDQUOT), MD_ENOSPC);
    assert_int_equal(err_from_errno(ENOENT), MD_ENOENT);
    assert_int_equal(err_from_errno(EEXIST), MD_EEXIST);
    assert_int_equal(err_from_errno(ELOOP), MD_EACCES);
    assert_int_equal(err_from_errno(EROFS), MD_EACCES);
    assert_int_equal(err_from_errno(EMFILE), MD_EMFILE);
    assert_int_equal(err_from_errno(EIO), MD_EIO);
    assert_int_equal(err_from_errno(EFAULT), MD_EIO);
    assert_int_equal(err_from_errno(123456), MD_EIO);
}

static void err_trail_grows_from_the_failing_place_up(void **state)
{
    (void)state;
    struct err err = {"old"};
    int code = err_set(&err, MD_EPARSE, "binance_spot: price \"%s\": not a number", "1x");
    assert_int_equal(code, MD_EPARSE);
    assert_int_equal(err_append(&err, code, "conn %d", 3), MD_EPARSE);
    assert_int_equal(err_append(&err, code, "stream.example:443"), MD_EPARSE);
    assert_string_equal(err.text, "binance_spot: price \"1x\": not a number < conn 3 < "
                                  "stream.example:443");
}

static void err_null_is_allowed(void **state)
{
    (void)state;
    assert_int_equal(err_set(NULL, MD_EIO, "%d", 1), MD_EIO);
    assert_int_equal(err_append(NULL, MD_EIO, "%d", 1), MD_EIO);
}

static void err_text_is_cut_at_the_end_and_stays_terminated(void **state)
{
    (void)state;
    struct {
        struct err err;
        char behind[8];
    } guarded = {.behind = "guard"};
    char long_text[2000];
    memset(long_text, 'x', sizeof long_text - 1);
    long_text[sizeof long_text - 1] = 0;
    for (int length = 500; length < 520; length++) {
        err_set(&guarded.err, MD_EIO, "%.*s", length, long_text);
        err_append(&guarded.err, MD_EIO, "%s", "yy");
        err_append(&guarded.err, MD_EIO, "%s", "zz");
        assert_true(strlen(guarded.err.text) <= 511);
        assert_string_equal(guarded.behind, "guard");
    }
    assert_int_equal(strlen(guarded.err.text), 511);
}

static void a_mistake(void)
{
    ASSERT(1 + 1 == 3);
}

static void assert_ends_the_process_with_abort(void **state)
{
    (void)state;
    assert_true(fixture_asserts(a_mistake));
    ASSERT(1 + 1 == 2);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(err_names_text_and_class_come_from_the_list),
        cmocka_unit_test(err_codes_are_negative_and_differ),
        cmocka_unit_test(err_of_an_unknown_code_is_never_null),
        cmocka_unit_test(err_from_errno_knows_the_common_ones_and_takes_others_for_eio),
        cmocka_unit_test(err_trail_grows_from_the_failing_place_up),
        cmocka_unit_test(err_null_is_allowed),
        cmocka_unit_test(err_text_is_cut_at_the_end_and_stays_terminated),
        cmocka_unit_test(assert_ends_the_process_with_abort),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
