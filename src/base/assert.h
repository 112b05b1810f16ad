#ifndef MD_BASE_ASSERT_H
#define MD_BASE_ASSERT_H

/* ASSERT is for our own mistakes and stays on in release builds; the world's mistakes (network,
 * disk, configuration) get error codes. DCHECK is for what is too dear to check in release. */

_Noreturn void assert_failed(const char *expression, const char *file, int line);

#define ASSERT(expression)                                  \
    do {                                                    \
        if (__builtin_expect(!(expression), 0)) {           \
            assert_failed(#expression, __FILE__, __LINE__); \
        }                                                   \
    } while (0)

#ifdef MD_DCHECK
#define DCHECK(expression) ASSERT(expression)
#else
#define DCHECK(expression) ((void)0)
#endif

#endif
