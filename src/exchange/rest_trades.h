#ifndef MD_EXCHANGE_REST_TRADES_H
#define MD_EXCHANGE_REST_TRADES_H

#include "exchange/rest_body.h"

/* Lists of trades by REST, for all venues: [{..},{..}], each row one TRADE_BACKFILL event as it
 * streams by, and TRADE_PAGE_END when the list came whole. A venue says by a table what its members
 * are called. */
enum rest_trade_member {
    REST_TRADE_ID,
    REST_TRADE_PRICE,
    REST_TRADE_AMOUNT, /* may be signed: the taker's side */
    REST_TRADE_TIME,   /* of any unit */
    REST_TRADE_SIDE,   /* "buy" or "sell": the taker's */
    REST_TRADE_MAKER,  /* true: the buyer was the maker */
    REST_TRADE_OTHER,
    REST_TRADE_MEMBERS
};

struct rest_trades_form {
    int depth;                          /* of the rows' objects: 1 for a bare list */
    int32_t flags;                      /* TRADE_AGGREGATE, 0 */
    const char *from_key;               /* the query's member that names the first id; NULL */
    const char *keys[REST_TRADE_OTHER]; /* NULL: not told */
};

bool rest_trades_json(struct decoder_rest *rest, const struct rest_trades_form *form,
                      enum json_event event, struct str text, int depth);
bool rest_trades_end(struct decoder_rest *rest, const struct rest_trades_form *form);

#endif
