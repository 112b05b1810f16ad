/* exchangeInfo: the filters, permissions and order types of a symbol as the venue lists them, and
 * the limits at its head. Only the tick, the step, the names and the status differ between symbols.
 * Source: exchanges/binance-spot.md section 6; the fields of a listing of 2025. */
#include "sim/sim_internal.h"
#include "sim/sim_stream.h"

static void put_filters(struct buf *out, const struct model_symbol *symbol)
{
    buf_printf(out, "\"filters\":[{\"filterType\":\"PRICE_FILTER\",");
    sim_put_e8_member(out, "minPrice", symbol->tick_e8);
    buf_put_char(out, ',');
    sim_put_e8_member(out, "maxPrice", 100000000000000000);
    buf_put_char(out, ',');
    sim_put_e8_member(out, "tickSize", symbol->tick_e8);
    buf_printf(out, "},{\"filterType\":\"LOT_SIZE\",");
    sim_put_e8_member(out, "minQty", symbol->step_e8);
    buf_put_char(out, ',');
    sim_put_e8_member(out, "maxQty", 900000000000000000);
    buf_put_char(out, ',');
    sim_put_e8_member(out, "stepSize", symbol->step_e8);
    buf_printf(out, "},{\"filterType\":\"ICEBERG_PARTS\",\"limit\":100},"
                    "{\"filterType\":\"MARKET_LOT_SIZE\",\"minQty\":\"0.00000000\",");
    sim_put_e8_member(out, "maxQty", symbol->step_e8 * 1000000);
    buf_printf(out, ",\"stepSize\":\"0.00000000\"},"
                    "{\"filterType\":\"TRAILING_DELTA\",\"minTrailingAboveDelta\":10,"
                    "\"maxTrailingAboveDelta\":2000,\"minTrailingBelowDelta\":10,"
                    "\"maxTrailingBelowDelta\":2000},"
                    "{\"filterType\":\"PERCENT_PRICE_BY_SIDE\",\"bidMultiplierUp\":\"5\","
                    "\"bidMultiplierDown\":\"0.2\",\"askMultiplierUp\":\"5\","
                    "\"askMultiplierDown\":\"0.2\",\"avgPriceMins\":5},"
                    "{\"filterType\":\"NOTIONAL\",\"minNotional\":\"5.00000000\","
                    "\"applyMinToMarket\":true,\"maxNotional\":\"9000000.00000000\","
                    "\"applyMaxToMarket\":false,\"avgPriceMins\":5},"
                    "{\"filterType\":\"MAX_NUM_ORDERS\",\"maxNumOrders\":200},"
                    "{\"filterType\":\"MAX_NUM_ORDER_LISTS\",\"maxNumOrderLists\":20},"
                    "{\"filterType\":\"MAX_NUM_ALGO_ORDERS\",\"maxNumAlgoOrders\":5},"
                    "{\"filterType\":\"MAX_NUM_ORDER_AMENDS\",\"maxNumOrderAmends\":10}],");
}

void sim_info_put_symbol(struct buf *out, const struct model_symbol *symbol, bool halted,
                         bool permission_sets)
{
    buf_printf(out, "{\"symbol\":\"%s\",\"status\":\"%s\",\"baseAsset\":\"%s\",", symbol->name,
               halted && symbol->trading ? "BREAK" : symbol->status, symbol->base);
    buf_printf(out,
               "\"baseAssetPrecision\":8,\"quoteAsset\":\"%s\",\"quotePrecision\":8,"
               "\"quoteAssetPrecision\":8,\"baseCommissionPrecision\":8,"
               "\"quoteCommissionPrecision\":8,"
               "\"orderTypes\":[\"LIMIT\",\"LIMIT_MAKER\",\"MARKET\",\"STOP_LOSS\","
               "\"STOP_LOSS_LIMIT\",\"TAKE_PROFIT\",\"TAKE_PROFIT_LIMIT\"],"
               "\"icebergAllowed\":true,\"ocoAllowed\":true,\"otoAllowed\":true,"
               "\"opoAllowed\":true,\"quoteOrderQtyMarketAllowed\":true,"
               "\"allowTrailingStop\":true,\"cancelReplaceAllowed\":true,\"amendAllowed\":true,"
               "\"pegInstructionsAllowed\":true,\"isSpotTradingAllowed\":true,"
               "\"isMarginTradingAllowed\":false,",
               symbol->quote);
    put_filters(out, symbol);
    buf_printf(out,
               "\"permissions\":[],\"permissionSets\":[%s],"
               "\"defaultSelfTradePreventionMode\":\"EXPIRE_MAKER\","
               "\"allowedSelfTradePreventionModes\":[\"EXPIRE_TAKER\",\"EXPIRE_MAKER\","
               "\"EXPIRE_BOTH\",\"DECREMENT\"]}",
               permission_sets ? "[\"SPOT\",\"TRD_GRP_004\",\"TRD_GRP_005\",\"TRD_GRP_006\"]" : "");
}

void sim_info_put_contract(struct buf *out, const struct model_symbol *symbol, bool halted)
{
    buf_printf(out, "{\"symbol\":\"%s\",\"pair\":\"%s\",\"contractType\":\"PERPETUAL\",",
               symbol->name, symbol->name);
    buf_printf(out,
               "\"deliveryDate\":4133404800000,\"onboardDate\":1569398400000,\"status\":\"%s\","
               "\"maintMarginPercent\":\"2.5000\",\"requiredMarginPercent\":\"5.0000\","
               "\"baseAsset\":\"%s\",\"quoteAsset\":\"%s\",\"marginAsset\":\"%s\","
               "\"pricePrecision\":8,\"quantityPrecision\":8,\"baseAssetPrecision\":8,"
               "\"quotePrecision\":8,\"underlyingType\":\"COIN\",\"underlyingSubType\":[],"
               "\"triggerProtect\":\"0.0500\",\"liquidationFee\":\"0.0125\","
               "\"marketTakeBound\":\"0.05\",\"maxMoveOrderLimit\":10000,",
               halted && symbol->trading ? "SETTLING"
               : symbol->trading         ? "TRADING"
                                         : "CLOSE",
               symbol->base, symbol->quote, symbol->quote);
    put_filters(out, symbol);
    buf_printf(out, "\"orderTypes\":[\"LIMIT\",\"MARKET\"],\"timeInForce\":[\"GTC\",\"IOC\"]}");
}

void sim_info_put_head(struct buf *out, const struct sim *sim, bool micro)
{
    const struct sim_limits_config *limits = &sim->config.limits;
    int64_t minutes = limits->weight_window_ms / 60000;
    buf_printf(out, "{\"timezone\":\"UTC\",\"serverTime\":");
    sim_put_time(out, sim->now_unix_ns, micro);
    buf_printf(out,
               ",\"rateLimits\":[{\"rateLimitType\":\"REQUEST_WEIGHT\",\"interval\":\"MINUTE\","
               "\"intervalNum\":%lld,\"limit\":%u},"
               "{\"rateLimitType\":\"ORDERS\",\"interval\":\"SECOND\",\"intervalNum\":10,"
               "\"limit\":100},"
               "{\"rateLimitType\":\"ORDERS\",\"interval\":\"DAY\",\"intervalNum\":1,"
               "\"limit\":200000},"
               "{\"rateLimitType\":\"RAW_REQUESTS\",\"interval\":\"MINUTE\",\"intervalNum\":5,"
               "\"limit\":300000}],\"exchangeFilters\":[],\"symbols\":[",
               (long long)(minutes < 1 ? 1 : minutes), limits->weight);
}
