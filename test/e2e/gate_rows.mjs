// Gate messages (spot and USDT futures) to the rows they must become, by JSON.parse and the fact sheet
// alone: nothing of the program is used.
import { parse } from './binance_rows.mjs';

const number = (t) => (t === undefined || t === null || t === '' ? null : Number(t));
// Seconds, milliseconds, microseconds or nanoseconds by magnitude, perhaps with a fraction: microseconds.
export const micros = (t) => {
  if (t === undefined || t === null || t === '' || Number(t) === 0) return null;
  const [whole, fraction = ''] = String(t).split('.');
  const n = BigInt(whole);
  const digits = n >= 100000000000000000n ? 9 : n >= 100000000000000n ? 6 : n >= 100000000000n ? 3 : 0; // already behind the point
  const places = digits + fraction.length;
  const all = BigInt(whole + fraction);
  return (places <= 6 ? all * 10n ** BigInt(6 - places) : all / 10n ** BigInt(places - 6)).toString();
};
const spans = { s: 1n, m: 60n, h: 3600n, d: 86400n, w: 604800n };
const closeOf = (open, interval) => (BigInt(open) + BigInt(interval.slice(0, -1)) * spans[interval.slice(-1)] * 1000000n - 1n).toString();
const absolute = (t) => (t.startsWith('-') ? t.slice(1) : t);
const signed = (t) => (Number(t) < 0 ? 'sell' : Number(t) > 0 ? 'buy' : 'unknown');
const level = (l) => (Array.isArray(l) ? l : [l.p, l.s]);

function rowsOfOne(spot, kind, data, sent, recv) {
  const common = (symbol, time) => ({ exchange: spot ? 'gate-io' : 'gate-io-futures', symbol, timestamp: micros(time), local_timestamp: recv });
  if (kind === 'trades' || kind === 'trades_v2') {
    return [{ channel: 'trades', rows: [{ ...common(data.currency_pair ?? data.contract, data.create_time_ms ?? data.create_time), id: null, trade_id: data.id ?? null,
      side: spot ? data.side : signed(data.size), price: number(data.price), amount: number(spot ? data.amount : absolute(data.size)), amount_base: null, flags: data.is_internal === true ? 2 : 0 }] }];
  }
  if (kind === 'book_ticker') {
    const bid = number(data.b), ask = number(data.a);
    return [{ channel: 'book_ticker', rows: [{ ...common(data.s, data.t), update_id: data.u ?? null, ask_amount: ask === null ? null : number(data.A), ask_price: ask,
      bid_price: bid, bid_amount: bid === null ? null : number(data.B) }] }];
  }
  if (kind === 'obu' || kind === 'order_book_update') {
    const symbol = kind === 'obu' ? data.s.slice(3, data.s.lastIndexOf('.')) : data.s;
    const row = (side) => (l) => ({ ...common(symbol, data.t), is_snapshot: data.full === true, side, price: number(level(l)[0]), amount: number(level(l)[1]),
      first_update_id: data.U ?? null, last_update_id: data.u, prev_update_id: null });
    const levels = [...(data.b ?? []).map(row('bid')), ...(data.a ?? []).map(row('ask'))];
    return [{ channel: 'incremental_book_L2', rows: levels.length > 0 ? levels : [row('bid')(['0', '0'])] }]; // no level changed: deletes nothing
  }
  if (kind === 'order_book') {
    const most = Math.max(data.bids.length, data.asks.length);
    const n = [5, 20, 50].find((n) => Number(data.l ?? most) <= n) ?? 50;
    const row = { ...common(data.s ?? data.contract, data.t), last_update_id: data.lastUpdateId ?? data.id };
    for (let i = 0; i < n; i++) {
      for (const side of ['asks', 'bids']) {
        row[`${side}_${i}_price`] = data[side][i] ? number(level(data[side][i])[0]) : null;
        row[`${side}_${i}_amount`] = data[side][i] ? number(level(data[side][i])[1]) : null;
      }
    }
    return [{ channel: `book_snapshot_${n}`, rows: [row] }];
  }
  if (kind === 'candlesticks') {
    const cut = data.n.indexOf('_');
    if (!/^\d/.test(data.n)) return [];
    const interval = data.n.slice(0, cut) === '7d' ? '1w' : data.n.slice(0, cut);
    const open = micros(data.t);
    return [{ channel: 'candles', rows: [{ ...common(data.n.slice(cut + 1), sent), interval, open_time: open, close_time: closeOf(open, interval), open: number(data.o), high: number(data.h),
      low: number(data.l), close: number(data.c), volume: spot ? number(data.a ?? '0') : number(data.v), quote_volume: spot ? number(data.v) : null, trade_count: null, closed: data.w ?? null }] }];
  }
  if (kind === 'tickers' && spot) {
    return [{ channel: 'ticker', rows: [{ ...common(data.currency_pair, sent), last_price: number(data.last), open: null, high: number(data.high_24h), low: number(data.low_24h),
      volume: number(data.base_volume), quote_volume: number(data.quote_volume), bid_price: number(data.highest_bid), ask_price: number(data.lowest_ask) }] }];
  }
  if (kind === 'tickers') {
    const rows = [{ channel: 'derivative_ticker', rows: [{ ...common(data.contract, data.t ?? sent), funding_timestamp: micros(data.funding_next_apply), funding_rate: number(data.funding_rate),
      predicted_funding_rate: null, open_interest: number(data.total_size), last_price: number(data.last), index_price: number(data.index_price), mark_price: number(data.mark_price),
      funding_interval_s: number(data.funding_interval) }] }];
    if (data.volume_24h !== undefined) {
      rows.push({ channel: 'ticker', rows: [{ ...common(data.contract, data.t ?? sent), last_price: number(data.last), open: null, high: number(data.high_24h), low: number(data.low_24h),
        volume: number(data.volume_24h), quote_volume: number(data.volume_24h_quote), bid_price: null, ask_price: null }] });
    }
    return rows;
  }
  if (kind === 'public_liquidates') {
    return [{ channel: 'liquidations', rows: [{ ...common(data.contract, data.time_ms ?? data.time), id: null, side: signed(data.size), price: number(data.price), amount: number(absolute(data.size)),
      average_price: null, order_status: null }] }];
  }
  if (kind === 'contract_stats') {
    return [{ channel: 'derivative_ticker', rows: [{ ...common(data.contract, data.time), funding_timestamp: null, funding_rate: null, predicted_funding_rate: null,
      open_interest: number(data.open_interest), last_price: null, index_price: null, mark_price: number(data.mark_price), funding_interval_s: null }] }];
  }
  return [];
}

export const rowsOf = (spot) => (payload, recv) => {
  const message = parse(payload);
  if (message.event !== 'update' && message.event !== 'all') return [];
  const kind = message.channel.slice(message.channel.indexOf('.') + 1);
  const sent = Number(message.time_ms ?? 0) > 0 ? message.time_ms : message.time;
  const list = Array.isArray(message.result) ? message.result.map((one) => (Array.isArray(one) ? one[0] : one)) : [message.result];
  return list.flatMap((one) => rowsOfOne(spot, kind, one, sent, recv));
};
