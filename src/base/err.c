/* Codes, texts and classes from the one list in err.h, and the trail of words that a failure
 * collects on its way up. The functions never fail and accept any code, also one that is not on the
 * list: they are called when something is wrong already. A trail is cut at the end of its buffer
 * and always terminated. Takes no memory. */
#include "base/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

const char *err_name(int code)
{
    switch (code) {
    case 0:
        return "OK";
#define X(name, value, class, text) \
    case value:                     \
        return #name;
        MD_ERROR_LIST(X)
#undef X
    default:
        return "MD_E?";
    }
}

const char *err_text(int code)
{
    switch (code) {
    case 0:
        return "no error";
#define X(name, value, class, text) \
    case value:                     \
        return text;
        MD_ERROR_LIST(X)
#undef X
    default:
        return "unknown error";
    }
}

enum err_class err_class_of(int code)
{
    switch (code) {
#define X(name, value, class, text) \
    case value:                     \
        return class;
        MD_ERROR_LIST(X)
#undef X
    default:
        return ERR_CLASS_FATAL;
    }
}

int err_from_errno(int errno_value)
{
    switch (errno_value) {
    case 0:
        return 0;
    case ENOSPC:
    case EDQUOT:
        return MD_ENOSPC;
    case ENOMEM:
        return MD_ENOMEM;
    case EINVAL:
    case ENAMETOOLONG:
        return MD_EINVAL;
    case ENOENT:
    case ENOTDIR:
        return MD_ENOENT;
    case EEXIST:
    case ENOTEMPTY:
        return MD_EEXIST;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
    case EXDEV:
        return MD_EACCES;
    case EMFILE:
    case ENFILE:
        return MD_EMFILE;
    case EAGAIN:
        return MD_ELOCKED;
    case ETIMEDOUT:
        return MD_ETIMEOUT;
    case ECONNREFUSED:
    case ENETUNREACH:
    case EHOSTUNREACH:
    case EADDRNOTAVAIL:
        return MD_ECONNECT;
    case ECONNRESET:
    case EPIPE:
        return MD_ECLOSED;
    case EFBIG:
        return MD_ETOOBIG;
    default:
        return MD_EIO;
    }
}

int err_set(struct err *err, int code, const char *format, ...)
{
    if (err != NULL) {
        va_list arguments;
        va_start(arguments, format);
        vsnprintf(err->text, sizeof err->text, format, arguments);
        va_end(arguments);
    }
    return code;
}

int err_append(struct err *err, int code, const char *format, ...)
{
    if (err != NULL) {
        size_t used = strnlen(err->text, sizeof err->text - 1);
        int n = snprintf(err->text + used, sizeof err->text - used, " < ");
        used += n > 0 ? (size_t)n : 0;
        if (used < sizeof err->text) {
            va_list arguments;
            va_start(arguments, format);
            vsnprintf(err->text + used, sizeof err->text - used, format, arguments);
            va_end(arguments);
        }
    }
    return code;
}
