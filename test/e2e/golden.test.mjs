// Messages in, exact rows out, through the whole landing: recording text -> journal -> rederive ->
// Parquet -> DuckDB. Our own messages (test/data) against rows that are written out (test/golden); the
// recordings, where they are found, against the fact sheet applied by binance_rows.mjs, the books and
// the normalised results that stand beside them.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';
import { parse, rowsOf } from './binance_rows.mjs';
import { channels, folder, query, remove, runSync, table } from './lib.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');
const samples = [process.env.MD_SAMPLES, join(root, '../shared/samples')].filter(Boolean)
  .map((dir) => join(dir, 'binance-spot')).find((dir) => existsSync(dir));
const skip = samples ? false : 'the recordings are not here (MD_SAMPLES, or shared/samples beside the checkout): skipped binance-spot/*';

const escape = (text) => text.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
const seconds = (micros) => `${micros.slice(0, -6)}.${micros.slice(-6)}`;
const micros = (text) => {
  const [whole, fraction = ''] = text.split('.');
  return whole + fraction.padEnd(6, '0').slice(0, 6);
};

// Lands a recording and gives its folder and what rederive printed.
function land(lines) {
  const dir = folder('golden');
  const loaded = runSync(['journal', 'load', `${dir}/in`, '--strict'], { input: lines.join('\n') + '\n' });
  assert.equal(loaded.code, 0, loaded.stderr);
  mkdirSync(`${dir}/out`);
  const landed = runSync(['rederive', `${dir}/in/journal`, '-o', `${dir}/out`], { env: { MARKET_DATA_LOG: 'error' } });
  assert.equal(landed.code, 0, landed.stderr);
  return { dir, out: `${dir}/out`, printed: landed.stdout };
}

// Every column as text or number; times as microseconds; without who received it.
async function landed(out, channel, where = 'true') {
  const rows = await query(`SELECT * REPLACE (epoch_us(timestamp) AS timestamp, epoch_us(local_timestamp) AS local_timestamp)
    FROM ${table(out, channel)} WHERE ${where} ORDER BY local_seq, file_row_number`.replace('hive_partitioning = false', 'hive_partitioning = false, file_row_number = true')
    .replace('SELECT * REPLACE', 'SELECT * EXCLUDE (file_row_number) REPLACE'));
  return rows.map(({ conn_id, local_seq, ...row }) => {
    for (const time of ['open_time', 'close_time']) if (row[time]) row[time] = (BigInt(Date.parse(row[time].replace(' ', 'T').replace('+00', 'Z').replace(/(\.\d{3})\d*/, '$1'))) * 1000n + BigInt((/\.\d{3}(\d{1,3})/.exec(row[time])?.[1] ?? '').padEnd(3, '0'))).toString();
    return row;
  });
}

const byChannel = (lines) => {
  const expected = new Map();
  for (const { payload, recv } of lines) {
    let rows = null;
    try { rows = rowsOf(parse(payload), recv); } catch { rows = null; }
    if (rows) expected.set(rows.channel, [...(expected.get(rows.channel) ?? []), ...rows.rows]);
  }
  return expected;
};

const recording = (lines) => lines.map(({ payload, recv }) => `${seconds(recv)}\tbinance\t1\trecv\t\t${escape(payload)}`);

const ours = readFileSync(join(root, 'test/data/binance/messages.jsonl'), 'utf8').trim().split('\n')
  .map((payload, i) => ({ payload, recv: (1732320100000000n + BigInt(i) * 1000n).toString() }));
const goldenFile = join(root, 'test/golden/binance/rows.jsonl');

test('our own messages, in every shape of the fact sheet, land as the golden rows say', async () => {
  const { dir, out, printed } = land(recording(ours));
  const got = [];
  for (const channel of channels(out).filter((c) => c !== 'gaps')) {
    for (const row of await landed(out, channel)) got.push(JSON.stringify({ channel, ...row }));
  }
  if (process.env.MD_GOLDEN_UPDATE === '1') writeFileSync(goldenFile, got.join('\n') + '\n');
  const golden = readFileSync(goldenFile, 'utf8').trim().split('\n');
  assert.deepEqual(got, golden);
  assert.match(printed, / 8 undecodable/);
  // each kind of undecodable message is a gap row of its own, with its count
  const decode = await query(`SELECT channel, kind, missing FROM ${table(out, 'gaps')} WHERE kind = 'decode' ORDER BY ALL`);
  assert.equal(decode.reduce((n, row) => n + Number(row.missing), 0), 8);
  remove(dir);
});

test('the golden rows agree with the fact sheet applied independently', () => {
  const golden = readFileSync(goldenFile, 'utf8').trim().split('\n').map((line) => JSON.parse(line));
  const bad = new Set(ours.slice(-8).map((line) => line.payload)); // the last eight are wrong on purpose
  const expected = byChannel(ours.filter((line) => !bad.has(line.payload)));
  for (const [channel, rows] of expected) {
    assert.deepEqual(golden.filter((row) => row.channel === channel).map(({ channel: _, ...row }) => row), rows, channel);
  }
});

test('the recorded session lands with exactly its values, and its books are the expected ones', { skip }, async () => {
  const lines = readFileSync(join(samples, 'session.tsv'), 'utf8').trim().split('\n')
    .map((line) => ({ recv: micros(line.slice(0, line.indexOf('\t'))), payload: line.slice(line.indexOf('\t') + 1) }));
  const requests = readFileSync(join(samples, 'rest/requests.tsv'), 'utf8').trim().split('\n').map((line) => line.split('\t'));
  const all = [
    ...lines.map((line, i) => [BigInt(line.recv), recording([line])[0], i]),
    ...requests.map(([time, method, url, file]) => [BigInt(micros(time)),
      `${seconds(micros(time))}\tbinance\t0\trest\t${method} ${url}\t${escape(readFileSync(join(samples, file), 'utf8').trim())}`, -1]),
  ].sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[2] - b[2]));
  const { dir, out, printed } = land(all.map((entry) => entry[1]));
  assert.match(printed, / 0 undecodable/);
  for (const [channel, rows] of byChannel(lines)) {
    assert.deepEqual(await landed(out, channel, channel === 'incremental_book_L2' ? 'NOT is_snapshot' : 'true')
      .then((got) => byLine(got)), byLine(rows), channel);
  }
  assert.equal(channels(out).includes('gaps'), false);
  const books = await rebuild(out);
  for (const [symbol, expected] of Object.entries(JSON.parse(readFileSync(join(samples, 'expected_books.json'), 'utf8')))) {
    checkBook(symbol, books.get(symbol), expected);
  }
  remove(dir);
});

// Files are per symbol: rows of one message stay together, messages of one symbol in order.
const byLine = (rows) => rows.map((row) => JSON.stringify(row)).sort();

// A reader's way, as tardis has it: clear at the first snapshot row after a delta, then set or delete. (docs/schema.md has
// the rule that also holds where two snapshots follow each other; none do in the recordings.)
async function rebuild(out) {
  const rows = await query(`SELECT symbol, is_snapshot, side, price, amount, last_update_id, local_seq FROM ${table(out, 'incremental_book_L2')
    .replace('hive_partitioning = false', 'hive_partitioning = false, file_row_number = true')} ORDER BY symbol, local_seq, file_row_number`);
  const books = new Map();
  for (const row of rows) {
    let book = books.get(row.symbol);
    if (!book) books.set(row.symbol, book = { bid: new Map(), ask: new Map(), inSnapshot: false, id: 0n, seen: false });
    if (row.is_snapshot && !book.inSnapshot) { book.bid.clear(); book.ask.clear(); book.seen = true; }
    book.inSnapshot = row.is_snapshot;
    if (row.amount === 0) book[row.side].delete(row.price);
    else book[row.side].set(row.price, row.amount);
    book.id = BigInt(row.last_update_id);
  }
  return books;
}

const plain = (value) => {
  let text = String(value);
  if (/e/.test(text)) text = Number(value).toFixed(12).replace(/0+$/, '').replace(/\.$/, '');
  return text;
};

function checkBook(symbol, book, expected) {
  assert.ok(book?.seen, `${symbol}: no snapshot rows`);
  const bids = [...book.bid].sort((a, b) => b[0] - a[0]);
  const asks = [...book.ask].sort((a, b) => a[0] - b[0]);
  assert.equal(book.id, BigInt(expected.final_update_id), symbol);
  assert.equal(bids.length, expected.bid_levels, symbol);
  assert.equal(asks.length, expected.ask_levels, symbol);
  assert.deepEqual(bids.slice(0, 5).map((level) => level.map(plain)), expected.top5_bids, symbol);
  assert.deepEqual(asks.slice(0, 5).map((level) => level.map(plain)), expected.top5_asks, symbol);
  const canonical = bids.map(([p, q]) => `b ${plain(p)} ${plain(q)}\n`).join('') + asks.map(([p, q]) => `a ${plain(p)} ${plain(q)}\n`).join('');
  assert.equal(createHash('sha256').update(canonical).digest('hex'), expected.canonical_sha256, symbol);
}

test('deleting any line of the recorded depth gives exactly one gap of the right extent', { skip }, async () => {
  const lines = readFileSync(join(samples, 'depth_100ms.jsonl'), 'utf8').trim().split('\n');
  const symbol = 'NKNUSDT';
  const mine = lines.filter((line) => line.includes(`"s":"${symbol}"`)).slice(0, 40)
    .map((payload, i) => ({ payload, recv: (1700000000000000n + BigInt(i) * 100000n).toString() }));
  for (const gone of [1, 7, 20, 38]) {
    const { data } = parse(mine[gone].payload);
    const { dir, out } = land(recording(mine.filter((_, i) => i !== gone)));
    const gaps = await query(`SELECT symbol, channel, kind, from_id, to_id, missing FROM ${table(out, 'gaps')}`);
    assert.deepEqual(gaps, [{ symbol, channel: 'incremental_book_L2', kind: 'sequence', from_id: data.U, to_id: data.u,
      missing: String(BigInt(data.u) - BigInt(data.U) + 1n) }]);
    remove(dir);
  }
});

test('every other recorded message and REST body lands with its values', { skip }, async () => {
  const files = readdirSync(samples).filter((file) => file.endsWith('.jsonl') && !file.includes('expect'));
  assert.ok(files.length >= 6);
  for (const file of files) {
    const lines = readFileSync(join(samples, file), 'utf8').trim().split('\n').filter((line) => !line.includes('"generated"'))
      .map((payload, i) => ({ payload, recv: (1700000000000000n + BigInt(i) * 1000n).toString() }));
    const { dir, out } = land(recording(lines));
    for (const [channel, rows] of byChannel(lines)) {
      const got = await landed(out, channel);
      assert.deepEqual(byLine(got), byLine(rows), `${file}: ${channel}`);
    }
    remove(dir);
  }
  const info = readFileSync(join(samples, 'rest/exchangeInfo.json'), 'utf8');
  const { dir, out } = land([`1700000000\tbinance\t0\trest\tGET https://x/api/v3/exchangeInfo\t${escape(info)}`]);
  const instruments = await query(`SELECT symbol, base, quote, type, status, tick_size, lot_size, unified_symbol FROM ${table(out, 'instruments')} ORDER BY symbol`);
  const expected = JSON.parse(info).symbols.map((s) => ({ symbol: s.symbol, base: s.baseAsset, quote: s.quoteAsset, type: 'spot', status: s.status,
    tick_size: Number(s.filters.find((f) => f.filterType === 'PRICE_FILTER').tickSize), lot_size: Number(s.filters.find((f) => f.filterType === 'LOT_SIZE').stepSize),
    unified_symbol: `${s.baseAsset}/${s.quoteAsset}` })).sort((a, b) => (a.symbol < b.symbol ? -1 : 1));
  assert.equal(expected.length, 63);
  assert.deepEqual(instruments, expected);
  remove(dir);
});

test('what another tool makes of the 2019 messages agrees', { skip }, async () => {
  const messages = readFileSync(join(samples, 'mixed-2019.jsonl'), 'utf8').trim().split('\n');
  const expected = readFileSync(join(samples, 'mixed-2019.expect.jsonl'), 'utf8').trim().split('\n').flatMap((line) => JSON.parse(line).expect);
  const wrapped = messages.map((payload, i) => {
    const message = JSON.parse(payload);
    const time = `156729600${i}.275`;
    return message.generated
      ? `${time}\tbinance\t0\trest\tGET https://x/api/v3/depth?symbol=BTCUSDC&limit=1000\t${JSON.stringify(message.data)}`
      : `${time}\tbinance\t1\trecv\t\t${payload}`;
  });
  const { dir, out } = land([...wrapped, `1567296010\t-\t0\ttick\t\t`, `1567296011\t-\t0\ttick\t\t`]);
  const [trade] = await query(`SELECT symbol, trade_id, price, amount, side, epoch_ms(timestamp) AS t FROM ${table(out, 'trades')}`);
  const wanted = expected.find((e) => e.type === 'trade');
  assert.deepEqual(trade, { symbol: wanted.symbol, trade_id: wanted.id, price: wanted.price, amount: wanted.amount, side: wanted.side,
    t: String(Date.parse(wanted.timestamp)) });
  const [ticker] = await query(`SELECT ask_amount, ask_price, bid_price, bid_amount FROM ${table(out, 'book_ticker')}`);
  const quote = expected.find((e) => e.type === 'book_ticker');
  assert.deepEqual(ticker, { ask_amount: quote.askAmount, ask_price: quote.askPrice, bid_price: quote.bidPrice, bid_amount: quote.bidAmount });
  for (const change of expected.filter((e) => e.type === 'book_change')) {
    const rows = await query(`SELECT side, price, amount FROM ${table(out, 'incremental_book_L2')} WHERE is_snapshot = ${change.isSnapshot} ORDER BY side, price`);
    const all = [...change.bids.map((l) => ({ side: 'bid', ...l })), ...change.asks.map((l) => ({ side: 'ask', ...l }))]
      .sort((a, b) => (a.side === b.side ? a.price - b.price : a.side < b.side ? -1 : 1));
    assert.deepEqual(rows, all);
  }
  remove(dir);
});
