/* The venues of this version: one row each. */
#include "exchange/binance_futures.h"
#include "exchange/binance_spot.h"
#include "exchange/gate.h"
#include "exchange/kucoin.h"

static const struct venue *const venues[VENUE_ID_END] = {
    [VENUE_BINANCE] = &binance_spot,
    [VENUE_BINANCE_FUTURES] = &binance_futures,
    [VENUE_KUCOIN] = &kucoin_spot,
    [VENUE_KUCOIN_FUTURES] = &kucoin_futures,
    [VENUE_GATE] = &gate_spot,
    [VENUE_GATE_FUTURES] = &gate_futures,
};

const struct venue *venue_of(enum venue_id id)
{
    return id > VENUE_NONE && id < VENUE_ID_END ? venues[id] : NULL;
}
