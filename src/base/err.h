#ifndef MD_BASE_ERR_H
#define MD_BASE_ERR_H

/* Error codes (negative ints), their texts and classes, from one list; and `struct err`, the trail
 * of words that says what happened where. 0 is success; positive results are named by the function
 * that returns them ("need more bytes", "end"). */

enum err_class {
    ERR_CLASS_RETRY,   /* try again later: the peer or the disk may recover */
    ERR_CLASS_RESYNC,  /* the state of one stream is lost and must be rebuilt */
    ERR_CLASS_MESSAGE, /* this message is wrong: count it, keep it, go on */
    ERR_CLASS_LIMIT,   /* a stated limit is reached: counted drop or refusal */
    ERR_CLASS_CONFIG,  /* the operator must change something */
    ERR_CLASS_FATAL,   /* the program cannot go on */
};

/* name, value, class, text */
#define MD_ERROR_LIST(X)                                                            \
    X(MD_EIO, -1, ERR_CLASS_RETRY, "input/output error")                            \
    X(MD_ENOSPC, -2, ERR_CLASS_RETRY, "no space left on the disk")                  \
    X(MD_ENOMEM, -3, ERR_CLASS_LIMIT, "out of the memory granted by the budget")    \
    X(MD_EINVAL, -4, ERR_CLASS_CONFIG, "invalid argument")                          \
    X(MD_ERANGE, -5, ERR_CLASS_MESSAGE, "value out of range")                       \
    X(MD_EPARSE, -6, ERR_CLASS_MESSAGE, "not well-formed")                          \
    X(MD_EPROTO, -7, ERR_CLASS_RETRY, "the peer broke the protocol")                \
    X(MD_ECLOSED, -8, ERR_CLASS_RETRY, "closed by the peer")                        \
    X(MD_ETIMEOUT, -9, ERR_CLASS_RETRY, "timed out")                                \
    X(MD_ETLS, -10, ERR_CLASS_RETRY, "TLS failure")                                 \
    X(MD_ECERT, -11, ERR_CLASS_CONFIG, "certificate not trusted")                   \
    X(MD_EDNS, -12, ERR_CLASS_RETRY, "name not resolved")                           \
    X(MD_ECONNECT, -13, ERR_CLASS_RETRY, "connection not established")              \
    X(MD_EPROXY, -14, ERR_CLASS_CONFIG, "refused by the proxy")                     \
    X(MD_EHTTP, -15, ERR_CLASS_RETRY, "unexpected HTTP answer")                     \
    X(MD_ETOOBIG, -16, ERR_CLASS_MESSAGE, "larger than the configured limit")       \
    X(MD_EGAP, -17, ERR_CLASS_RESYNC, "sequence gap")                               \
    X(MD_ECORRUPT, -18, ERR_CLASS_MESSAGE, "damaged data")                          \
    X(MD_ENOENT, -19, ERR_CLASS_CONFIG, "not found")                                \
    X(MD_EEXIST, -20, ERR_CLASS_CONFIG, "exists already")                           \
    X(MD_EACCES, -21, ERR_CLASS_CONFIG, "permission denied, or read-only")          \
    X(MD_ELOCKED, -22, ERR_CLASS_CONFIG, "in use by another recorder")              \
    X(MD_EFULL, -23, ERR_CLASS_LIMIT, "full")                                       \
    X(MD_ENOTSUP, -24, ERR_CLASS_CONFIG, "not supported")                           \
    X(MD_EUNKNOWN, -25, ERR_CLASS_MESSAGE, "unknown stream or message type")        \
    X(MD_EBUDGET, -26, ERR_CLASS_CONFIG, "the plan does not fit the memory budget") \
    X(MD_EMFILE, -27, ERR_CLASS_LIMIT, "too many open files")

enum err_code {
#define X(name, value, class, text) name = value,
    MD_ERROR_LIST(X)
#undef X
};

/* "MD_EIO", or "MD_E?" for an unknown code. Never NULL. */
const char *err_name(int code);
/* The one-clause text of a code. Never NULL. */
const char *err_text(int code);
enum err_class err_class_of(int code);
/* Maps an errno value to a code; an unknown errno is MD_EIO (libfiu and kernels can return any). */
int err_from_errno(int errno_value);

/* A trail in a fixed buffer, newest clause first failing place first:
 *   binance_spot: price "1x": not a number < conn 3 < stream.binance.com:443 */
struct err {
    char text[512];
};

/* Replaces the text. `err` may be NULL. Returns `code`, so that `return err_set(err, MD_EIO, ...)`
 * reads well. Truncates silently at the buffer's end. */
int err_set(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));
/* Adds " < clause" on the way up. `err` may be NULL. Returns `code`. */
int err_append(struct err *err, int code, const char *format, ...)
    __attribute__((format(printf, 3, 4)));

#endif
