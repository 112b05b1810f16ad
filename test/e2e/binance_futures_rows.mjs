// Binance USD-M futures messages to the rows they must become, by JSON.parse and the fact sheet alone:
// nothing of the program is used.
import { parse } from './binance_rows.mjs';

const micros = (t) => (BigInt(t) >= 100000000000000n ? BigInt(t) : BigInt(t) * 1000n).toString();
const number = (t) => (t === undefined || t === null || t === '' ? null : Number(t));
const flags = (x) => (x === undefined || x === 'MARKET' ? 0 : x === 'NA' ? 16 : x === 'INSURANCE_FUND' || x === 'ADL' ? 2 : 4);

function rowOf(kind, data, recv) {
  const common = (symbol, time) => ({ exchange: 'binance-futures', symbol, timestamp: time === undefined ? null : micros(time), local_timestamp: recv });
  if (kind === 'trade' || kind === 'aggTrade') {
    return { channel: 'trades', rows: [{ ...common(data.s, data.T ?? data.E), id: null, trade_id: (kind === 'trade' ? data.t : data.a) ?? null,
      side: data.m === true ? 'sell' : data.m === false ? 'buy' : 'unknown', price: number(data.p), amount: number(data.q), amount_base: null,
      flags: kind === 'aggTrade' ? 1 : flags(data.X) }] };
  }
  if (kind === 'bookTicker') {
    return { channel: 'book_ticker', rows: [{ ...common(data.s, data.T ?? data.E), update_id: data.u ?? null, ask_amount: number(data.A), ask_price: number(data.a),
      bid_price: number(data.b), bid_amount: number(data.B) }] };
  }
  const partial = /^depth(5|20)(@|$)/.exec(kind);
  if (partial) {
    const row = { ...common(data.s, data.T ?? data.E), last_update_id: data.u };
    for (let i = 0; i < Number(partial[1]); i++) {
      row[`asks_${i}_price`] = number(data.a[i]?.[0]);
      row[`asks_${i}_amount`] = number(data.a[i]?.[1]);
      row[`bids_${i}_price`] = number(data.b[i]?.[0]);
      row[`bids_${i}_amount`] = number(data.b[i]?.[1]);
    }
    return { channel: `book_snapshot_${partial[1]}`, rows: [row] };
  }
  if (/^depth(@|$)/.test(kind)) {
    const row = (side) => ([price, amount]) => ({ ...common(data.s, data.T ?? data.E), is_snapshot: false, side, price: number(price), amount: number(amount),
      first_update_id: data.U, last_update_id: data.u, prev_update_id: data.pu ?? null });
    const levels = [...data.b.map(row('bid')), ...data.a.map(row('ask'))];
    return { channel: 'incremental_book_L2', rows: levels.length > 0 ? levels : [row('bid')(['0', '0'])] }; // no level changed: deletes nothing
  }
  if (kind.startsWith('markPrice') || kind.startsWith('!markPrice')) {
    const funded = data.T !== undefined && data.T !== '0';
    return { channel: 'derivative_ticker', rows: [{ ...common(data.s, data.E), funding_timestamp: funded ? micros(data.T) : null, funding_rate: funded ? number(data.r) : null,
      predicted_funding_rate: null, open_interest: null, last_price: null, index_price: number(data.i), mark_price: number(data.p), funding_interval_s: null }] };
  }
  if (kind.startsWith('forceOrder') || kind.startsWith('!forceOrder')) {
    const o = data.o;
    return { channel: 'liquidations', rows: [{ ...common(o.s, o.T), id: null, side: o.S.toLowerCase(), price: number(o.p), amount: number(o.z ?? o.q),
      average_price: number(o.ap), order_status: o.X ?? null }] };
  }
  if (kind.startsWith('kline_')) {
    const k = data.k;
    return { channel: 'candles', rows: [{ ...common(data.s, data.E), interval: k.i, open_time: micros(k.t), close_time: micros(k.T),
      open: number(k.o), high: number(k.h), low: number(k.l), close: number(k.c), volume: number(k.v), quote_volume: number(k.q), trade_count: k.n, closed: k.x }] };
  }
  if (/ticker(@|$)/i.test(kind)) {
    return { channel: 'ticker', rows: [{ ...common(data.s, data.E), last_price: number(data.c), open: number(data.o), high: number(data.h),
      low: number(data.l), volume: number(data.v), quote_volume: number(data.q), bid_price: null, ask_price: null }] };
  }
  return null;
}

const kinds = { trade: 'trade', aggTrade: 'aggTrade', bookTicker: 'bookTicker', depthUpdate: 'depth', markPriceUpdate: 'markPrice', forceOrder: 'forceOrder',
  kline: 'kline_', '24hrTicker': 'ticker', '24hrMiniTicker': 'miniTicker' };

// [] for control messages and what is not recorded.
export function rowsOf(payload, recv) {
  const message = parse(payload);
  const data = message.data ?? message;
  const stream = message.stream;
  const kindOf = (one) => (stream && !stream.startsWith('!') ? stream.slice(stream.indexOf('@') + 1) : kinds[one.e] ?? '');
  return (Array.isArray(data) ? data : [data]).filter((one) => (one.st ?? one.o?.st) !== '2').map((one) => rowOf(kindOf(one), one, recv)).filter(Boolean);
}
