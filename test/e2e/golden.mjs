// What the golden tests of all venues share: a recording through the whole landing (recording text ->
// journal -> rederive -> Parquet -> DuckDB), rows as plain values, books as a reader rebuilds them.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { channels, folder, query, remove, runSync, table } from './lib.mjs';

export const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

// The folder of recordings, or why they are skipped.
export function samplesOf(name) {
  const found = [process.env.MD_SAMPLES, join(root, '../shared/samples')].filter(Boolean).map((dir) => join(dir, name)).find((dir) => existsSync(dir));
  return { samples: found, skip: found ? false : `the recordings are not here (MD_SAMPLES, or shared/samples beside the checkout): skipped ${name}/*` };
}

export const escape = (text) => text.replaceAll('\\', '\\\\').replaceAll('\t', '\\t').replaceAll('\n', '\\n').replaceAll('\r', '\\r');
export const seconds = (micros) => `${micros.slice(0, -6)}.${micros.slice(-6)}`;
export const micros = (text) => {
  const [whole, fraction = ''] = text.split('.');
  return whole + fraction.padEnd(6, '0').slice(0, 6);
};
export const linesOf = (...path) => readFileSync(join(...path), 'utf8').split('\n').filter((line) => line.trim() !== '');
// Made-up receive times for messages without one.
export const timed = (payloads, start = 1700000000000000n) => payloads.map((payload, i) => ({ payload, recv: (start + BigInt(i) * 1000n).toString() }));
export const recording = (exchange, lines, { conn = 1, binary = false } = {}) => lines.map(({ payload, recv }) =>
  `${seconds(recv)}\t${exchange}\t${conn}\t${binary ? 'recv-hex' : 'recv'}\t\t${binary ? payload : escape(payload)}`);
export const restLine = (exchange, recv, url, body) => `${seconds(recv)}\t${exchange}\t0\trest\tGET ${url}\t${escape(body.trim())}`;

// Lands a recording and gives its folder and what rederive printed.
export function land(lines, settings = []) {
  const dir = folder('golden');
  const loaded = runSync(['journal', 'load', `${dir}/in`, '--strict'], { input: lines.join('\n') + '\n' });
  assert.equal(loaded.code, 0, loaded.stderr);
  mkdirSync(`${dir}/out`);
  const landed = runSync(['rederive', `${dir}/in/journal`, '-o', `${dir}/out`, ...settings], { env: { MARKET_DATA_LOG: 'error' } });
  assert.equal(landed.code, 0, landed.stderr);
  return { dir, out: `${dir}/out`, printed: landed.stdout, undecodable: Number(/(\d+) undecodable/.exec(landed.stdout)?.[1]) };
}

const timeColumns = { candles: ['open_time', 'close_time'], derivative_ticker: ['funding_timestamp'], instruments: ['valid_from'], gaps: ['start', 'end'] };

// Every column as text or number; times as microseconds; without who received it. Rows in the order they
// were received, those of one message by file.
export async function landed(out, channel, where = 'true') {
  const times = ['timestamp', 'local_timestamp', ...(timeColumns[channel] ?? [])];
  const rows = await query(`SELECT * EXCLUDE (file_row_number, filename) REPLACE (${times.map((t) => `epoch_us("${t}") AS "${t}"`).join(', ')})
    FROM ${table(out, channel).replace('hive_partitioning = false', 'hive_partitioning = false, file_row_number = true, filename = true')}
    WHERE ${where} ORDER BY local_seq, filename, file_row_number`);
  return rows.map(({ conn_id, local_seq, ...row }) => row);
}

// Files are per symbol: rows of one message stay together, messages of one symbol in order.
export const byLine = (rows) => rows.map((row) => JSON.stringify(Object.fromEntries(Object.entries(row).sort(([a], [b]) => (a < b ? -1 : 1))))).sort();

// Rows of messages by channel, by a reader of messages: rowsOf(payload, recv) gives [{channel, rows}].
export function expectedOf(lines, rowsOf) {
  const expected = new Map();
  for (const { payload, recv } of lines) {
    for (const { channel, rows } of rowsOf(payload, recv)) expected.set(channel, [...(expected.get(channel) ?? []), ...rows]);
  }
  return expected;
}

// Lands messages and compares every row of every channel with what the independent reader says.
export async function checkMessages(exchange, lines, rowsOf, { undecodable = 0, what = '', options, settings } = {}) {
  const { dir, out, undecodable: got, printed } = land(recording(exchange, lines, options), settings);
  assert.equal(got, undecodable, `${what}: ${printed}`);
  const expected = expectedOf(lines, rowsOf);
  for (const [channel, rows] of expected) {
    if (rows.length > 0) assert.deepEqual(byLine(await landed(out, channel)), byLine(rows), `${what}: ${channel}`);
  }
  const extra = channels(out).filter((channel) => channel !== 'gaps' && !(expected.get(channel)?.length > 0));
  assert.deepEqual(extra, [], `${what}: rows nobody expected`);
  remove(dir);
  return expected;
}

// Our own messages in every shape, against rows that are written out in test/golden.
export async function checkOwn(exchange, folderName, { undecodable, options, settings } = {}) {
  const ours = timed(linesOf(root, 'test/data', folderName, 'messages.jsonl'), 1732320100000000n);
  const file = join(root, 'test/golden', folderName, 'rows.jsonl');
  const { dir, out, undecodable: refused, printed } = land(recording(exchange, ours, options), settings);
  const got = [];
  for (const channel of channels(out).filter((c) => c !== 'gaps')) {
    for (const row of await landed(out, channel)) got.push(JSON.stringify({ channel, ...row }));
  }
  if (process.env.MD_GOLDEN_UPDATE === '1') {
    mkdirSync(dirname(file), { recursive: true });
    writeFileSync(file, got.join('\n') + '\n');
  }
  assert.deepEqual(got, linesOf(file));
  assert.equal(refused, undecodable, printed);
  remove(dir);
  return { ours, golden: linesOf(file).map((line) => JSON.parse(line)) };
}

// A reader's way, as tardis has it: clear at the first snapshot row after a delta, then set or delete. (docs/schema.md has
// the rule that also holds where two snapshots follow each other; none do in the recordings.)
export async function rebuild(out, onMessage = () => {}) {
  const rows = await query(`SELECT symbol, is_snapshot, side, price, amount, last_update_id, local_seq FROM ${table(out, 'incremental_book_L2')
    .replace('hive_partitioning = false', 'hive_partitioning = false, file_row_number = true')} ORDER BY symbol, local_seq, file_row_number`);
  const books = new Map();
  let before;
  for (const row of rows) {
    let book = books.get(row.symbol);
    if (before && (before.symbol !== row.symbol || before.local_seq !== row.local_seq || before.last_update_id !== row.last_update_id)) onMessage(before.symbol, books.get(before.symbol));
    if (!book) books.set(row.symbol, book = { bid: new Map(), ask: new Map(), inSnapshot: false, id: 0n, seen: false });
    if (row.is_snapshot && !book.inSnapshot) { book.bid.clear(); book.ask.clear(); book.seen = true; }
    book.inSnapshot = row.is_snapshot;
    if (row.amount === 0) book[row.side].delete(row.price);
    else book[row.side].set(row.price, row.amount);
    book.id = BigInt(row.last_update_id);
    before = row;
  }
  if (before) onMessage(before.symbol, books.get(before.symbol));
  return books;
}
export const bidsOf = (book) => [...book.bid].sort((a, b) => b[0] - a[0]);
export const asksOf = (book) => [...book.ask].sort((a, b) => a[0] - b[0]);

export const filesOf = (samples, end) => readdirSync(samples).filter((file) => file.endsWith(end)).sort();
