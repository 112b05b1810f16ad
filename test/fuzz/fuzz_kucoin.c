/* KuCoin, spot and futures, classic and unified sockets: each input is read as either venue's, and
 * as the reply that brings a token (see fuzz_venue.h). */
#include "exchange/kucoin.h"
#include "fuzz/fuzz_venue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static const char *const spot_urls[] = {
    "GET https://h/api/v1/market/orderbook/level2_100?symbol=BTC-USDT 200",
    "GET https://h/api/v1/market/allTickers 200",
    "GET https://h/api/v2/symbols 200",
    "GET https://h/api/v1/market/histories?symbol=BTC-USDT 200",
    NULL,
};
static const char *const futures_urls[] = {
    "GET https://h/api/v1/level2/snapshot?symbol=XBTUSDTM 200",
    "GET https://h/api/v1/contracts/active?turnover 200",
    "GET https://h/api/v1/contracts/active 200",
    "GET https://h/api/v1/trade/history?symbol=XBTUSDTM 200",
    NULL,
};

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
    static const struct fuzz_venue spot = {&kucoin_spot, kucoin_decode_general, RECORD_RECV,
                                           spot_urls};
    static const struct fuzz_venue futures = {&kucoin_futures, kucoin_decode_general,
                                              RECORD_RECV_BINARY, futures_urls};
    fuzz_venue_one(&spot, data, size);
    return fuzz_venue_one(&futures, data, size);
}
