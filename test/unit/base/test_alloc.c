#include "base_fixture.h"

#include <curl/curl.h>
#include <jansson.h>
#include <openssl/ssl.h>
#include <pthread.h>

#include "base/alloc.h"
#include "base/pool.h"

static void alloc_take_gives_zeroed_aligned_memory_counted_on_its_line(void **state)
{
    (void)state;
    size_t before = alloc_line_stats(ALLOC_BOOKS).bytes;
    char *memory[64];
    for (size_t i = 0; i < 64; i++) {
        memory[i] = alloc_take(ALLOC_BOOKS, i * 33);
        assert_non_null(memory[i]);
        assert_int_equal((uintptr_t)memory[i] % 64, 0);
        for (size_t at = 0; at < i * 33; at++) {
            assert_int_equal(memory[i][at], 0);
        }
        memset(memory[i], 0xee, i * 33);
    }
    assert_int_equal(alloc_line_stats(ALLOC_BOOKS).bytes, before + 33 * 63 * 64 / 2);
    for (size_t i = 0; i < 64; i++) {
        alloc_give(memory[i]);
    }
    alloc_give(NULL);
    assert_int_equal(alloc_line_stats(ALLOC_BOOKS).bytes, before);
    assert_true(alloc_line_stats(ALLOC_BOOKS).bytes_max >= before + 33 * 63 * 64 / 2);
    assert_int_equal(alloc_line_stats(ALLOC_SEAL).bytes, 0);
}

static void alloc_take_of_more_than_there_is_gives_null(void **state)
{
    (void)state;
    assert_null(alloc_take(ALLOC_BOOKS, SIZE_MAX));
    assert_null(alloc_take(ALLOC_BOOKS, SIZE_MAX / 2 + 1));
    assert_null(alloc_library(ALLOC_LIB_TLS, SIZE_MAX - 8));
    assert_int_equal(alloc_line_stats(ALLOC_BOOKS).bytes, 0);
}

static void take_after_the_seal(void)
{
    alloc_seal();
    alloc_take(ALLOC_BOOKS, 1);
}

static void take_on_a_library_line(void)
{
    alloc_take(ALLOC_LIB_TLS, 1);
}

static void give_twice(void)
{
    void *memory = alloc_take(ALLOC_BOOKS, 10);
    void *again = memory;
    alloc_give(memory);
    alloc_give(again);
}

static void give_what_is_not_ours(void)
{
    static _Alignas(64) char memory[128];
    alloc_give(memory + 64);
}

static void alloc_mistakes_are_assertion_failures(void **state)
{
    (void)state;
    assert_true(fixture_asserts(take_after_the_seal));
    assert_true(fixture_asserts(take_on_a_library_line));
    assert_true(fixture_asserts(give_what_is_not_ours));
#if !defined(__SANITIZE_ADDRESS__) && !defined(__SANITIZE_THREAD__)
    assert_true(fixture_asserts(give_twice));
#else
    (void)give_twice; /* the sanitizer ends it first, in its own way */
#endif
}

static void alloc_seal_lets_libraries_allocate_and_all_give_back(void **state)
{
    (void)state;
    void *ours = alloc_take(ALLOC_BOOKS, 100);
    alloc_seal();
    assert_true(alloc_sealed());
    void *theirs = alloc_library(ALLOC_LIB_TLS, 100);
    assert_non_null(theirs);
    alloc_library_free(theirs);
    alloc_give(ours);
    alloc_unseal();
    assert_false(alloc_sealed());
    alloc_give(alloc_take(ALLOC_BOOKS, 1));
}

static void alloc_library_resize_keeps_content_and_count(void **state)
{
    (void)state;
    size_t before = alloc_line_stats(ALLOC_LIB_JSON).bytes;
    char *memory = alloc_library_resize(ALLOC_LIB_JSON, NULL, 10);
    memcpy(memory, "123456789", 10);
    memory = alloc_library_resize(ALLOC_LIB_JSON, memory, 100000);
    assert_string_equal(memory, "123456789");
    assert_int_equal(alloc_line_stats(ALLOC_LIB_JSON).bytes, before + 100000);
    memory = alloc_library_resize(ALLOC_LIB_JSON, memory, 5);
    assert_memory_equal(memory, "12345", 5);
    assert_int_equal(alloc_line_stats(ALLOC_LIB_JSON).bytes, before + 5);
    assert_int_equal((uintptr_t)memory % 16, 0);
    alloc_library_free(memory);
    assert_int_equal(alloc_line_stats(ALLOC_LIB_JSON).bytes, before);
}

static void alloc_line_limit_refuses_and_counts_what_would_pass_it(void **state)
{
    (void)state;
    uint64_t refused = alloc_line_stats(ALLOC_LIB_CURL).refused;
    alloc_line_limit(ALLOC_LIB_CURL, 1000);
    void *a = alloc_library(ALLOC_LIB_CURL, 600);
    assert_non_null(a);
    assert_null(alloc_library(ALLOC_LIB_CURL, 401));
    void *b = alloc_library(ALLOC_LIB_CURL, 400);
    assert_non_null(b);
    assert_null(alloc_library_resize(ALLOC_LIB_CURL, b, 401)); /* b is still there */
    b = alloc_library_resize(ALLOC_LIB_CURL, b, 399);
    assert_non_null(b);
    assert_true(alloc_line_stats(ALLOC_LIB_CURL).refused == refused + 2);
    alloc_library_free(a);
    alloc_library_free(b);
    alloc_line_limit(ALLOC_LIB_CURL, 0);
    a = alloc_library(ALLOC_LIB_CURL, 5000);
    assert_non_null(a);
    alloc_library_free(a);
}

static void alloc_fail_at_fails_the_nth_and_no_other(void **state)
{
    (void)state;
    alloc_fail_at(3);
    void *a = alloc_take(ALLOC_BOOKS, 1), *b = alloc_library(ALLOC_LIB_TLS, 1);
    assert_non_null(a);
    assert_non_null(b);
    assert_null(alloc_library_resize(ALLOC_LIB_TLS, b, 2)); /* unharmed */
    void *c = alloc_take(ALLOC_BOOKS, 1);
    assert_non_null(c);
    alloc_give(a);
    alloc_library_free(b);
    alloc_give(c);
    alloc_fail_at(1);
    assert_null(alloc_take(ALLOC_BOOKS, 1));
    alloc_fail_at(1);
    alloc_fail_at(0);
    a = alloc_take(ALLOC_BOOKS, 1);
    assert_non_null(a);
    alloc_give(a);
    assert_int_equal(alloc_line_stats(ALLOC_BOOKS).bytes, 0);
}

static void *allocate_a_lot(void *argument)
{
    (void)argument;
    void *blocks[16] = {NULL};
    for (unsigned i = 0; i < 20000; i++) {
        alloc_library_free(blocks[i % 16]);
        blocks[i % 16] = alloc_library(ALLOC_LIB_TLS, i % 500);
    }
    for (size_t i = 0; i < 16; i++) {
        alloc_library_free(blocks[i]);
    }
    return NULL;
}

static void alloc_counts_stay_exact_under_threads(void **state)
{
    (void)state;
    size_t before = alloc_line_stats(ALLOC_LIB_TLS).bytes;
    pthread_t threads[3];
    for (int i = 0; i < 3; i++) {
        assert_int_equal(pthread_create(&threads[i], NULL, allocate_a_lot, NULL), 0);
    }
    for (int i = 0; i < 3; i++) {
        pthread_join(threads[i], NULL);
    }
    assert_int_equal(alloc_line_stats(ALLOC_LIB_TLS).bytes, before);
}

static void alloc_lines_have_labels(void **state)
{
    (void)state;
    assert_string_equal(alloc_line_label(ALLOC_FRAME_RING), "frame ring (net to land)");
    assert_string_equal(alloc_line_label(ALLOC_LIB_JSON), "library: jansson");
    assert_false(alloc_line_is_library(ALLOC_FRAME_RING));
    assert_true(alloc_line_is_library(ALLOC_LIB_TLS));
}

/* Each library does something that allocates; its line moves, and comes back. */
static void alloc_hook_libraries_puts_each_library_on_its_line(void **state)
{
    (void)state;
    alloc_hook_libraries();
    size_t tls = alloc_line_stats(ALLOC_LIB_TLS).bytes;
    size_t curl = alloc_line_stats(ALLOC_LIB_CURL).bytes;
    size_t json = alloc_line_stats(ALLOC_LIB_JSON).bytes;
    SSL_CTX *context = SSL_CTX_new(TLS_client_method());
    assert_non_null(context);
    assert_true(alloc_line_stats(ALLOC_LIB_TLS).bytes > tls);
    CURL *easy = curl_easy_init();
    assert_non_null(easy);
    assert_int_equal(curl_easy_setopt(easy, CURLOPT_URL, "http://127.0.0.1/"), CURLE_OK);
    assert_true(alloc_line_stats(ALLOC_LIB_CURL).bytes > curl);
    json_t *value = json_pack("{s:[i,i]}", "a", 1, 2);
    assert_non_null(value);
    assert_true(alloc_line_stats(ALLOC_LIB_JSON).bytes > json);
    json_decref(value);
    assert_int_equal(alloc_line_stats(ALLOC_LIB_JSON).bytes, json);
    curl_easy_cleanup(easy);
    assert_true(alloc_line_stats(ALLOC_LIB_CURL).bytes <= curl + 4096);
    SSL_CTX_free(context);
    curl_global_cleanup();
}

static void json_that_cannot_allocate_fails_without_a_leak(void **state)
{
    (void)state;
    size_t before = alloc_line_stats(ALLOC_LIB_JSON).bytes;
    uint64_t n = 0;
    json_t *value = NULL;
    while (value == NULL) {
        alloc_fail_at(++n);
        value = json_loads("{\"a\": [1, \"two\", {\"b\": null}]}", 0, NULL);
        assert_true(n < 100);
    }
    alloc_fail_at(0);
    assert_true(n > 5);
    json_decref(value);
    assert_int_equal(alloc_line_stats(ALLOC_LIB_JSON).bytes, before);
}

/* ---- pool */

static void pool_hands_out_each_item_once_and_then_refuses(void **state)
{
    (void)state;
    struct pool pool;
    assert_int_equal(pool_init(&pool, ALLOC_BOOKS, 24, 100), 0);
    char *items[100];
    for (size_t i = 0; i < 100; i++) {
        items[i] = pool_acquire(&pool);
        assert_non_null(items[i]);
        assert_int_equal((uintptr_t)items[i] % 16, 0);
        memset(items[i], (int)i, 24);
    }
    for (size_t i = 0; i < 100; i++) { /* nobody wrote into another's */
        for (size_t at = 0; at < 24; at++) {
            assert_int_equal(items[i][at], i);
        }
    }
    assert_null(pool_acquire(&pool));
    assert_int_equal(pool.used, 100);
    assert_int_equal(pool.refused, 1);
    pool_release(&pool, items[42]);
    pool_release(&pool, NULL);
    assert_int_equal(pool.used, 99);
    assert_ptr_equal(pool_acquire(&pool), items[42]);
    for (size_t i = 0; i < 100; i++) {
        pool_release(&pool, items[i]);
    }
    assert_int_equal(pool.used, 0);
    assert_int_equal(pool.used_max, 100);
    pool_deinit(&pool);
    pool_deinit(&pool); /* a zeroed pool */
    assert_int_equal(alloc_line_stats(ALLOC_BOOKS).bytes, 0);
}

static void pool_without_memory_says_so_and_can_be_deinited(void **state)
{
    (void)state;
    struct pool pool;
    alloc_fail_at(1);
    assert_int_equal(pool_init(&pool, ALLOC_BOOKS, 16, 10), MD_ENOMEM);
    assert_null(pool_acquire(&pool));
    pool_deinit(&pool);
    assert_int_equal(pool_init(&pool, ALLOC_BOOKS, SIZE_MAX / 4, 100), MD_ENOMEM);
    pool_deinit(&pool);
}

static struct pool small_pool;

static void release_twice(void)
{
    void *item = pool_acquire(&small_pool);
    pool_release(&small_pool, item);
    pool_release(&small_pool, item);
}

static void release_the_middle_of_an_item(void)
{
    pool_release(&small_pool, (char *)pool_acquire(&small_pool) + 8);
}

static void release_what_is_not_the_pools(void)
{
    char item[64];
    pool_release(&small_pool, item);
}

static void pool_mistakes_are_assertion_failures(void **state)
{
    (void)state;
    assert_int_equal(pool_init(&small_pool, ALLOC_BOOKS, 32, 4), 0);
    assert_true(fixture_asserts(release_twice));
    assert_true(fixture_asserts(release_the_middle_of_an_item));
    assert_true(fixture_asserts(release_what_is_not_the_pools));
    pool_deinit(&small_pool);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(alloc_hook_libraries_puts_each_library_on_its_line), /* before any use */
        cmocka_unit_test(json_that_cannot_allocate_fails_without_a_leak),
        cmocka_unit_test(alloc_take_gives_zeroed_aligned_memory_counted_on_its_line),
        cmocka_unit_test(alloc_take_of_more_than_there_is_gives_null),
        cmocka_unit_test(alloc_mistakes_are_assertion_failures),
        cmocka_unit_test(alloc_seal_lets_libraries_allocate_and_all_give_back),
        cmocka_unit_test(alloc_library_resize_keeps_content_and_count),
        cmocka_unit_test(alloc_line_limit_refuses_and_counts_what_would_pass_it),
        cmocka_unit_test(alloc_fail_at_fails_the_nth_and_no_other),
        cmocka_unit_test(alloc_counts_stay_exact_under_threads),
        cmocka_unit_test(alloc_lines_have_labels),
        cmocka_unit_test(pool_hands_out_each_item_once_and_then_refuses),
        cmocka_unit_test(pool_without_memory_says_so_and_can_be_deinited),
        cmocka_unit_test(pool_mistakes_are_assertion_failures),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
