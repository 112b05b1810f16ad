/* The handshake's answer: any bytes. What is accepted holds the right Accept; a verdict stands
 * however many bytes follow. */
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/err.h"
#include "net/ws_frame.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void require(int good)
{
    if (!good) {
        abort();
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static const char key[] = "dGhlIHNhbXBsZSBub25jZQ==";
    int64_t earlier = 0;
    size_t step = bytes / 64 + 1;
    for (size_t n = 0; n <= bytes; n = n < bytes && n + step > bytes ? bytes : n + step) {
        int status = -1;
        const char *why = NULL;
        int64_t result = ws_handshake_response(data, n, key, &status, &why);
        require(why != NULL && status >= 0 && status <= 999);
        if (result > 0) {
            require((size_t)result <= n && status == 101);
            require(memmem(data, (size_t)result, "s3pPLMBiTxaQ9kYGzzhZRbK+xOo=", 28) != NULL);
        } else {
            require(result == 0 || result == MD_EHTTP || result == MD_EPROTO ||
                    result == MD_ETOOBIG);
        }
        require(earlier == 0 || result == earlier);
        earlier = result;
        if (n == bytes) {
            break;
        }
    }
    return 0;
}
