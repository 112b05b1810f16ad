/* Binance spot's binary frames, schema 1:0 (see fuzz_venue.h). */
#include "exchange/binance_sbe.h"
#include "exchange/binance_spot.h"
#include "fuzz/fuzz_venue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const char *const no_urls[] = {NULL};
    static const struct fuzz_venue fuzz = {&binance_spot, binance_sbe_decode, RECORD_RECV_BINARY,
                                           no_urls};
    return fuzz_venue_one(&fuzz, data, size);
}
