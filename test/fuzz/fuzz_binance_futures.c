/* Binance USD-M futures: frames, REST bodies, requests (see fuzz_venue.h). */
#include "exchange/binance_futures.h"
#include "fuzz/fuzz_venue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const urls[] = {
    "GET https://h/fapi/v1/depth?symbol=BTCUSDT&limit=1000 200",
    "GET https://h/fapi/v1/openInterest?symbol=BTCUSDT 200",
    "GET https://h/fapi/v1/exchangeInfo 200",
    "GET https://h/fapi/v1/trades?symbol=BTCUSDT&limit=1000 200",
    "GET https://h/fapi/v1/aggTrades?symbol=BTCUSDT&fromId=26129&limit=1000 200",
    "GET https://h/fapi/v1/ticker/24hr 200",
    NULL,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_venue fuzz = {&binance_futures, binance_futures_decode_general,
                                           RECORD_RECV, urls};
    return fuzz_venue_one(&fuzz, data, size);
}
