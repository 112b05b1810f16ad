// CSV with tardis's columns, from a recording of all six exchanges' messages: read with the strict
// schemas of the tools that import tardis files (hftbacktest's data/utils/tardis.py gives Polars these
// schemas and compares the column lists), and held against the Parquet of the same journal.
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { gunzipSync } from 'node:zlib';
import pl from 'nodejs-polars';
import { escape, linesOf, root } from './golden.mjs';
import { files, folder, query, remove, runSync, table } from './lib.mjs';

const head = { exchange: pl.String, symbol: pl.String, timestamp: pl.Int64, local_timestamp: pl.Int64 };
const doubles = (...names) => Object.fromEntries(names.map((name) => [name, pl.Float64]));
const levels = (n) => doubles(...[...Array(n).keys()].flatMap((i) => [`asks[${i}].price`, `asks[${i}].amount`, `bids[${i}].price`, `bids[${i}].amount`]));
const schemas = {
  trades: { ...head, id: pl.String, side: pl.String, ...doubles('price', 'amount') },
  incremental_book_L2: { ...head, is_snapshot: pl.Bool, side: pl.String, ...doubles('price', 'amount') },
  book_ticker: { ...head, ...doubles('ask_amount', 'ask_price', 'bid_price', 'bid_amount') },
  derivative_ticker: { ...head, funding_timestamp: pl.Int64, ...doubles('funding_rate', 'predicted_funding_rate', 'open_interest', 'last_price', 'index_price', 'mark_price') },
  liquidations: { ...head, id: pl.String, side: pl.String, ...doubles('price', 'amount') },
  book_snapshot_5: { ...head, ...levels(5) },
  book_snapshot_20: { ...head, ...levels(20) },
};
// What a tardis column is of ours, as DuckDB says it.
const ours = (name) => ({
  timestamp: 'epoch_us(coalesce("timestamp", local_timestamp))',
  local_timestamp: 'epoch_us(local_timestamp)',
  funding_timestamp: 'epoch_us(funding_timestamp)',
})[name] ?? `"${name.replace(/^(asks|bids)\[(\d+)\]\.(\w+)$/, '$1_$2_$3')}"`;

// Messages of our own making, all exchanges, in one journal.
const recorded = ['binance', 'binance-futures', 'gate-io', 'gate-io-futures', 'kucoin', 'kucoin-futures'].flatMap((exchange, n) =>
  linesOf(root, 'test/data', exchange, 'messages.jsonl').map((line, i) => ({ at: 1732320000 + n * 100 + i * 0.01, exchange, line })));
const text = recorded.map(({ at, exchange, line }) => `${at.toFixed(3)}\t${exchange}\t1\trecv\t\t${escape(line)}`).join('\n') + '\n';

const dir = folder('csv');
after(() => remove(dir));
const loaded = runSync(['journal', 'load', `${dir}/in`, '--strict'], { input: text });
for (const [name, args] of [['parquet', []], ['tardis', ['--schema', 'tardis', '--set', 'output.roll_secs=1']], ['native', ['--set', 'output.format=csv']]]) {
  mkdirSync(`${dir}/${name}`);
  const landed = runSync(['rederive', `${dir}/in/journal`, '-o', `${dir}/${name}`, ...args], { env: { MARKET_DATA_LOG: 'error' } });
  assert.equal(landed.code, 0, loaded.stderr + landed.stderr);
}
const of = (name, channel) => files(`${dir}/${name}`).filter((file) => file.includes(`/channel=${channel}/`) && file.endsWith('.csv.gz'));

for (const [channel, schema] of Object.entries(schemas)) {
  test(`tardis ${channel}: exact columns, every value as in Parquet`, async () => {
    const paths = of('tardis', channel);
    assert.ok(paths.length > 0, 'the recordings have none');
    const names = Object.keys(schema);
    const got = [];
    for (const path of paths) {
      const csv = gunzipSync(readFileSync(path)).toString();
      assert.equal(csv.slice(0, csv.indexOf('\n')), names.join(','));
      const frame = pl.readCSV(csv, { dtypes: schema, inferSchemaLength: 0 });
      assert.deepEqual(frame.columns, names);
      assert.equal(frame.getColumn('timestamp').nullCount(), 0);
      got.push(...frame.toRecords());
    }
    // a trade with no trade in it has no row; ids that are numbers stand as text
    const where = channel === 'trades' ? 'flags & 16 = 0' : 'true';
    const columns = names.map((name) => `${name === 'id' && channel === 'trades' ? 'coalesce(id, trade_id::text)' : ours(name)} AS "${name}"`);
    const want = await query(`SELECT ${columns.join(', ')} FROM ${table(`${dir}/parquet`, channel)} WHERE ${where}`);
    const plain = (rows) => rows.map((row) => JSON.stringify(names.map((name) => {
      const value = row[name];
      return value == null ? null : schema[name] === pl.Int64 || schema[name] === pl.Float64 ? Number(value) : String(value);
    }))).sort();
    assert.deepEqual(plain(got), plain(want));
  });
}

test('native CSV has all columns, and channels that tardis has not keep them', async () => {
  const first = (path) => gunzipSync(readFileSync(path)).toString().split('\n', 1)[0];
  for (const channel of ['trades', 'candles']) {
    const [row] = await query(`SELECT string_agg(column_name, ',') AS names FROM (DESCRIBE SELECT * FROM ${table(`${dir}/parquet`, channel)})`);
    assert.equal(first(of('native', channel)[0]), row.names);
    if (channel === 'candles') assert.equal(first(of('tardis', channel)[0]), row.names);
  }
});

test('merged, a tardis file is one table still', () => {
  const rows = () => of('tardis', 'trades').flatMap((path) => gunzipSync(readFileSync(path)).toString().trimEnd().split('\n').slice(1)).sort();
  const before = rows();
  const did = runSync(['compact', `${dir}/tardis`]);
  assert.equal(did.code, 0, did.stderr);
  assert.match(did.stdout, /^[1-9]\d* files became [1-9]/);
  assert.deepEqual(rows(), before);
});

test('a schema that is none is refused', () => {
  const did = runSync(['rederive', `${dir}/in/journal`, '-o', join(dir, 'x'), '--schema', 'csvw']);
  assert.equal(did.code, 2);
  assert.match(did.stderr, /output\.csv_schema.*native\|?.*tardis/);
});
