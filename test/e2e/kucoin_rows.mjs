// KuCoin messages (spot and futures, classic and unified sockets) to the rows they must become, by
// JSON.parse and the fact sheet alone: nothing of the program is used.
import { parse } from './binance_rows.mjs';
import { micros } from './gate_rows.mjs';

const number = (t) => (t === undefined || t === null || t === '' ? null : Number(t));
const units = { min: 'm', hour: 'h', day: 'd', week: 'w', month: 'M' };
const spans = { m: 60n, h: 3600n, d: 86400n, w: 604800n, M: 2592000n };
const intervalOf = (type) => type.replace(/[a-z]+$/, (unit) => units[unit]);
const minutes = { 1: '1m', 5: '5m', 15: '15m', 30: '30m', 60: '1h', 120: '2h', 240: '4h', 480: '8h', 720: '12h', 1440: '1d', 10080: '1w' };
const closeOf = (open, interval) => (BigInt(open) + BigInt(interval.slice(0, -1)) * spans[interval.slice(-1)] * 1000000n - 1n).toString();
const zero = (t) => Number(t) === 0;

function bookRow(n, common, id, asks, bids) {
  const row = { ...common, last_update_id: id ?? null };
  for (let i = 0; i < n; i++) {
    for (const [side, levels] of [['asks', asks], ['bids', bids]]) {
      row[`${side}_${i}_price`] = levels[i] ? number(levels[i][0]) : null;
      row[`${side}_${i}_amount`] = levels[i] ? number(levels[i][1]) : null;
    }
  }
  return [{ channel: `book_snapshot_${n}`, rows: [row] }];
}

function bestRow(common, id, bid, ask) {
  const [bidPrice, askPrice] = [number(bid?.[0]), number(ask?.[0])];
  return [{ channel: 'book_ticker', rows: [{ ...common, update_id: id ?? null, ask_amount: askPrice === null ? null : number(ask[1]), ask_price: askPrice,
    bid_price: bidPrice, bid_amount: bidPrice === null ? null : number(bid[1]) }] }];
}

const derivative = (common, members) => [{ channel: 'derivative_ticker', rows: [{ ...common, funding_timestamp: null, funding_rate: null, predicted_funding_rate: null, open_interest: null,
  last_price: null, index_price: null, mark_price: null, funding_interval_s: null, ...members }] }];

// A message (or a sequence in it) that changes no level lands as one row that deletes nothing.
const orNothing = (rows, common, ids) => (rows.length > 0 ? rows : [{ ...common, is_snapshot: false, side: 'bid', price: 0, amount: 0, ...ids, prev_update_id: null }]);

// Each change by its own sequence; a price of 0 is none.
function level2(common, data) {
  const changes = [...(data.changes.asks ?? []).map((c) => ['ask', ...c]), ...(data.changes.bids ?? []).map((c) => ['bid', ...c])]
    .sort((a, b) => (BigInt(a[3]) < BigInt(b[3]) ? -1 : BigInt(a[3]) > BigInt(b[3]) ? 1 : 0));
  const rows = [];
  let [first, last] = [BigInt(data.sequenceStart), null];
  for (const [side, price, size, sequence] of changes) {
    if (last !== null && BigInt(sequence) !== last) first = last + 1n;
    last = BigInt(sequence);
    const ids = { first_update_id: first.toString(), last_update_id: sequence };
    if (!zero(price)) rows.push({ ...common, is_snapshot: false, side, price: number(price), amount: number(size), ...ids, prev_update_id: null });
    else if (!changes.some((c) => c[3] === sequence && !zero(c[1]))) rows.push(...orNothing([], common, ids));
  }
  const next = last === null ? BigInt(data.sequenceStart) : last + 1n;
  if (next <= BigInt(data.sequenceEnd)) rows.push(...orNothing([], common, { first_update_id: next.toString(), last_update_id: data.sequenceEnd }));
  return [{ channel: 'incremental_book_L2', rows }];
}

function classic(spot, message, recv) {
  const at = message.topic.indexOf(':');
  const name = at < 0 ? message.topic : message.topic.slice(0, at);
  const of = at < 0 ? '' : message.topic.slice(at + 1);
  const { data } = message;
  const common = (symbol, time) => ({ exchange: spot ? 'kucoin' : 'kucoin-futures', symbol, timestamp: micros(time), local_timestamp: recv });
  if (name === '/market/match' || name === '/contractMarket/execution') {
    const whole = /^\d{1,19}$/.test(data.tradeId ?? '');
    return [{ channel: 'trades', rows: [{ ...common(data.symbol ?? of, data.time ?? data.ts), id: whole ? null : data.tradeId ?? null, trade_id: whole ? data.tradeId : null,
      side: data.side.toLowerCase(), price: number(data.price), amount: number(data.size), amount_base: null, flags: 0 }] }];
  }
  if (name === '/market/ticker') {
    return bestRow(common(of === 'all' ? message.subject : of, null), data.sequence, [data.bestBid, data.bestBidSize], [data.bestAsk, data.bestAskSize]);
  }
  if (name === '/contractMarket/ticker' || name === '/contractMarket/tickerV2') {
    return bestRow(common(data.symbol ?? of, data.ts), data.sequence, [data.bestBidPrice, data.bestBidSize], [data.bestAskPrice, data.bestAskSize]);
  }
  if (name === '/spotMarket/level1') return bestRow(common(of, data.timestamp), null, data.bids, data.asks);
  if (name === '/market/level2') return level2(common(data.symbol ?? of, data.time), data);
  if (name === '/contractMarket/level2') {
    const [price, side, size] = data.change.split(',');
    const ids = { first_update_id: data.sequence, last_update_id: data.sequence };
    const none = orNothing([], common(of, data.timestamp), ids);
    return [{ channel: 'incremental_book_L2', rows: zero(price) ? none : [{ ...common(of, data.timestamp), is_snapshot: false, side: side === 'buy' ? 'bid' : 'ask', price: number(price),
      amount: number(size), ...ids, prev_update_id: null }] }];
  }
  const depth = /level2Depth(5|50)$/.exec(name);
  if (depth && !name.startsWith('/callauction')) return bookRow(Number(depth[1]), common(of, data.timestamp ?? data.ts), data.sequence, data.asks, data.bids);
  if (name === '/market/candles' || name === '/contractMarket/limitCandle') {
    const cut = of.lastIndexOf('_');
    const [open, o, c, h, l, v, w] = data.candles;
    const interval = intervalOf(of.slice(cut + 1));
    return [{ channel: 'candles', rows: [{ ...common(data.symbol ?? of.slice(0, cut), data.time), interval, open_time: micros(open), close_time: closeOf(micros(open), interval), open: number(o),
      high: number(h), low: number(l), close: number(c), volume: number(spot ? v : w), quote_volume: spot ? number(w) : null, trade_count: null, closed: null }] }];
  }
  if (name === '/contractMarket/candle') {
    const interval = minutes[data.granularity];
    return [{ channel: 'candles', rows: [{ ...common(data.symbol, null), interval, open_time: micros(data.time), close_time: closeOf(micros(data.time), interval), open: number(data.open),
      high: number(data.high), low: number(data.low), close: number(data.close), volume: number(data.volume), quote_volume: null, trade_count: null, closed: null }] }];
  }
  if (name === '/market/snapshot') {
    const d = data.data;
    return [{ channel: 'ticker', rows: [{ ...common(d.symbol ?? of, d.datetime), last_price: number(d.lastTradedPrice), open: number(d.open), high: number(d.high), low: number(d.low),
      volume: number(d.vol), quote_volume: number(d.volValue), bid_price: number(d.buy), ask_price: number(d.sell) }] }];
  }
  if (name === '/contractMarket/snapshot') {
    return [{ channel: 'ticker', rows: [{ ...common(data.symbol ?? of, data.ts), last_price: number(data.lastPrice), open: number(data.price24HoursBefore), high: number(data.highPrice),
      low: number(data.lowPrice), volume: number(data.volume), quote_volume: number(data.turnover), bid_price: null, ask_price: null }] }];
  }
  if (name === '/contract/instrument') {
    const settled = Number(data.granularity) > 60000;
    const funding = data.fundingRate === undefined ? {} : settled
      ? { funding_rate: number(data.fundingRate), funding_interval_s: Number(data.granularity) / 1000, funding_timestamp: micros(data.timestamp) }
      : { predicted_funding_rate: number(data.fundingRate) };
    return derivative(common(of, data.timestamp), { mark_price: number(data.markPrice), index_price: number(data.indexPrice), ...funding });
  }
  if (name === '/contract/announcement') {
    return derivative(common(data.symbol ?? of, data.timestamp), { funding_rate: number(data.fundingRate), funding_timestamp: micros(data.fundingTime) });
  }
  return [];
}

function unified(spot, message, recv) {
  const kind = message.T.split('.')[0];
  const common = (symbol, time) => ({ exchange: spot ? 'kucoin' : 'kucoin-futures', symbol, timestamp: micros(time), local_timestamp: recv });
  const one = (d) => {
    if (kind === 'obu' && message.dp === '1') return bestRow(common(d.s, d.M), d.C, d.b?.[0], d.a?.[0]);
    if (kind === 'obu' && (message.dp === '5' || message.dp === '50')) return bookRow(Number(message.dp), common(d.s, d.M), d.C, d.a, d.b);
    if (kind === 'obu') {
      const row = (side) => ([price, amount]) => ({ ...common(d.s, d.M), is_snapshot: message.t === 'snapshot', side, price: number(price), amount: number(amount), first_update_id: d.O,
        last_update_id: d.C, prev_update_id: null });
      const levels = [...(d.b ?? []).map(row('bid')), ...(d.a ?? []).map(row('ask'))];
      return [{ channel: 'incremental_book_L2', rows: levels.length > 0 ? levels : [row('bid')(['0', '0'])] }];
    }
    if (kind === 'trade') {
      return [{ channel: 'trades', rows: [{ ...common(d.s, d.M), id: null, trade_id: d.ti, side: d.S.toLowerCase(), price: number(d.p), amount: number(d.q), amount_base: null, flags: 0 }] }];
    }
    if (kind === 'ticker') return bestRow(common(d.s, d.M), d.E, [d.b, d.B], [d.a, d.A]);
    if (kind === 'kline') {
      return [{ channel: 'candles', rows: [{ ...common(d.s, message.P), interval: intervalOf(d.i), open_time: micros(d.O), close_time: (BigInt(micros(d.C)) - 1n).toString(), open: number(d.o),
        high: number(d.h), low: number(d.l), close: number(d.c), volume: number(d.v), quote_volume: number(d.a), trade_count: null, closed: String(d.S) === 'true' }] }];
    }
    if (kind === 'mark-price') return derivative(common(d.s, d.ts), { mark_price: number(d.mp), index_price: number(d.ip), open_interest: number(d.oi) });
    if (kind === 'funding-fee' || kind === 'funding-fee-all-symbols') {
      return derivative(common(d.s, message.P), { funding_rate: number(d.fr), funding_timestamp: micros(d.nt), funding_interval_s: Number(d.gl) / 1000 });
    }
    return [];
  };
  return Array.isArray(message.d) ? message.d.flatMap(one) : one(message.d);
}

export const rowsOf = (spot) => (payload, recv) => {
  const message = parse(payload);
  return message.T !== undefined ? unified(spot, message, recv) : message.topic !== undefined ? classic(spot, message, recv) : [];
};
