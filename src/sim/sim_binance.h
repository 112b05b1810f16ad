#ifndef MD_SIM_SIM_BINANCE_H
#define MD_SIM_SIM_BINANCE_H

#include "sim/sim_exchange.h"

/* What Binance's exchanges share as the simulator plays them: sim_binance_ws.c. */
void sim_binance_ws_text(struct sim_conn *conn, struct str text);
void sim_binance_ws_opened(struct sim_conn *conn, const struct sim_request *request);
void sim_binance_ws_shutdown(struct sim_conn *conn);
/* Which streams the URL names, into `scratch`; data NULL: it is not a stream URL at all. */
struct str sim_binance_url_streams(struct sim_conn *conn, const struct sim_request *request,
                                   struct buf *scratch);

/* Trade k of the model, with the placeholders before it. */
int64_t sim_binance_futures_trade_id(const struct model_symbol *symbol, int64_t k);
/* lastUpdateId of the futures' book after the model's update. */
int64_t sim_binance_futures_update_id(const struct model_symbol *symbol, int64_t update);

#endif
