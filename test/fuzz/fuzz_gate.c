/* Gate, spot and futures: each input is read as either venue's (see fuzz_venue.h). */
#include "exchange/gate.h"
#include "fuzz/fuzz_venue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const spot_urls[] = {
    "GET https://h/api/v4/spot/order_book?currency_pair=BTC_USDT&limit=100&with_id=true 200",
    "GET https://h/api/v4/spot/currency_pairs 200",
    "GET https://h/api/v4/spot/tickers 200",
    "GET https://h/api/v4/spot/trades?currency_pair=BTC_USDT&limit=1000&from=1&to=9 200",
    NULL,
};
static const char *const futures_urls[] = {
    "GET https://h/api/v4/futures/usdt/order_book?contract=BTC_USDT&limit=100&with_id=true 200",
    "GET https://h/api/v4/futures/usdt/contracts 200",
    "GET https://h/api/v4/futures/usdt/tickers 200",
    "GET https://h/api/v4/futures/usdt/trades?contract=BTC_USDT&limit=1000&from=1&to=9 200",
    NULL,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_venue spot = {&gate_spot, gate_decode_general, RECORD_RECV, spot_urls};
    static const struct fuzz_venue futures = {&gate_futures, gate_decode_general, RECORD_RECV,
                                              futures_urls};
    fuzz_venue_one(&spot, data, size);
    return fuzz_venue_one(&futures, data, size);
}
