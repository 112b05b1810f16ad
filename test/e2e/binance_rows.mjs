// Binance spot messages to the rows they must become, by JSON.parse and the fact sheet alone: nothing of
// the program is used. Numbers are kept as text until compared, ids as BigInt.

// JSON.parse would round ids above 2^53: whole numbers become strings first.
export function parse(text) {
  let out = '';
  let inString = false;
  for (let i = 0; i < text.length; i++) {
    const c = text[i];
    if (inString) {
      out += c;
      if (c === '\\') out += text[++i];
      else if (c === '"') inString = false;
    } else if (c === '"') {
      inString = true;
      out += c;
    } else if (/[-0-9]/.test(c)) {
      const number = /^-?\d+(\.\d+)?([eE][-+]?\d+)?/.exec(text.slice(i))[0];
      out += `"${number}"`;
      i += number.length - 1;
    } else {
      out += c;
    }
  }
  return JSON.parse(out);
}

const micros = (t) => (BigInt(t) >= 100000000000000n ? BigInt(t) : BigInt(t) * 1000n).toString();
const number = (t) => (t === undefined || t === null ? null : Number(t));

// `recv` is the receive time in microseconds (text). Returns { channel, rows } or null for control
// messages and for what cannot be decoded.
export function rowsOf(message, recv) {
  const { stream, data } = message;
  const [name, kind] = [stream.slice(0, stream.indexOf('@')), stream.slice(stream.indexOf('@') + 1)];
  const common = (symbol, time) => ({ exchange: 'binance', symbol, timestamp: time === undefined ? null : micros(time), local_timestamp: recv });
  if (kind === 'trade' || kind === 'aggTrade') {
    return { channel: 'trades', rows: [{ ...common(data.s, data.T), id: null, trade_id: BigInt(data.t ?? data.a).toString(),
      side: data.m === true ? 'sell' : data.m === false ? 'buy' : 'unknown', price: number(data.p), amount: number(data.q),
      amount_base: null, flags: kind === 'aggTrade' ? 1 : 0 }] };
  }
  if (kind === 'bookTicker') {
    return { channel: 'book_ticker', rows: [{ ...common(data.s), update_id: data.u, ask_amount: number(data.A), ask_price: number(data.a),
      bid_price: number(data.b), bid_amount: number(data.B) }] };
  }
  if (kind === 'depth' || kind === 'depth@100ms') {
    const row = (side) => ([price, amount]) => ({ ...common(data.s, data.E), is_snapshot: false, side, price: number(price), amount: number(amount),
      first_update_id: data.U, last_update_id: data.u, prev_update_id: null });
    const levels = [...data.b.map(row('bid')), ...data.a.map(row('ask'))];
    return { channel: 'incremental_book_L2', rows: levels.length > 0 ? levels : [row('bid')(['0', '0'])] }; // no level changed: deletes nothing
  }
  const partial = /^depth(5|20)(@100ms)?$/.exec(kind);
  if (partial) {
    const n = Number(partial[1]);
    const row = { ...common(name.replace(/[a-z]/g, (c) => c.toUpperCase())), last_update_id: data.lastUpdateId };
    for (let i = 0; i < n; i++) {
      row[`asks_${i}_price`] = number(data.asks[i]?.[0]);
      row[`asks_${i}_amount`] = number(data.asks[i]?.[1]);
      row[`bids_${i}_price`] = number(data.bids[i]?.[0]);
      row[`bids_${i}_amount`] = number(data.bids[i]?.[1]);
    }
    return { channel: `book_snapshot_${n}`, rows: [row] };
  }
  if (kind.startsWith('kline_')) {
    const k = data.k;
    return { channel: 'candles', rows: [{ ...common(data.s, data.E), interval: k.i, open_time: micros(k.t), close_time: micros(k.T),
      open: number(k.o), high: number(k.h), low: number(k.l), close: number(k.c), volume: number(k.v), quote_volume: number(k.q),
      trade_count: k.n, closed: k.x }] };
  }
  if (kind === 'ticker' || kind === 'miniTicker') {
    return { channel: 'ticker', rows: [{ ...common(data.s, data.E), last_price: number(data.c), open: number(data.o), high: number(data.h),
      low: number(data.l), volume: number(data.v), quote_volume: number(data.q), bid_price: number(data.b), ask_price: number(data.a) }] };
  }
  return null;
}
