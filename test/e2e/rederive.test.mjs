// rederive from a kept journal: the same bytes when nothing changed; another format, other options of the
// schema, fewer symbols when asked; and what cannot be told from a journal is refused.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
import { tableFromIPC } from 'apache-arrow';
import { parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import pl from 'nodejs-polars';
import { difference, files, folder, query, record, remove, runSync, simulate, table } from './lib.mjs';

const dir = folder('rederive');
const data = `${dir}/data`;
let symbols;
before(async () => {
  const sim = await simulate(dir, { symbols: 5, rate: 300, faults: 'every 7 drop depth\n' });
  symbols = sim.symbols.split(',');
  const recorder = record(sim, data, ['--set', 'journal.keep=1', '--set', 'output.format=csv', '--set', 'output.roll_secs=1', '--seconds', 4]);
  const { code } = await recorder.exited;
  assert.equal(code, 0, recorder.stdout + recorder.stderr);
  await sim.stop();
});

function rederive(name, args = []) {
  const out = `${dir}/${name}`;
  const run = runSync(['rederive', `${data}/journal`, '-o', out, ...args], { env: { MARKET_DATA_LOG: 'error' } });
  return { ...run, out };
}
// Paths below the root without the kind of file, and the bytes of each.
const landed = (root) => files(root).filter((f) => f.includes('channel=')).map((f) => [f.slice(root.length), createHash('sha256').update(readFileSync(f)).digest('hex')]);
const names = (root) => landed(root).map(([path]) => path.replace(/\.(parquet|csv\.gz|jsonl\.zst)$/, '')).sort();

test('nothing changed: the same files, byte by byte, and the same manifest', () => {
  const { out, code, stderr } = rederive('same');
  assert.equal(code, 0, stderr);
  assert.deepEqual(landed(out), landed(data));
  const lines = (root) => files(`${root}/manifest`).flatMap((f) => readFileSync(f, 'utf8').split('\n')).sort();
  assert.deepEqual(lines(out), lines(data));
});

test('another format: the same rows, though parquet is the default and the journal says csv', async () => {
  const parquet = rederive('parquet', ['--set', 'output.format=parquet']);
  assert.equal(parquet.code, 0, parquet.stderr);
  assert.deepEqual(names(parquet.out), names(data));
  const verified = JSON.parse(runSync(['verify', parquet.out, '--json']).stdout);
  assert.deepEqual(verified.findings, []);
  for (const channel of ['trades', 'book_ticker', 'incremental_book_L2', 'gaps']) {
    const csv = files(data).filter((f) => f.includes(`channel=${channel}/`)).map((f) => gunzipSync(readFileSync(f)).toString().trim().split('\n').length - 1);
    const [{ n }] = await query(`SELECT count(*) AS n FROM ${table(parquet.out, channel)}`);
    assert.equal(Number(n), csv.reduce((a, b) => a + b, 0), channel);
  }
  const jsonl = rederive('jsonl', ['--set', 'output.format=jsonl']);
  assert.equal(jsonl.code, 0, jsonl.stderr);
  assert.deepEqual(names(jsonl.out), names(data));
  assert.ok(files(jsonl.out).some((f) => f.endsWith('.jsonl.zst')));
});

test('other options: nanoseconds of the receive time, longer rolls, plain folders', async () => {
  const { out, code, stderr } = rederive('options', ['--set', 'output.format=parquet', '--set', 'output.local_ns=true', '--set', 'output.roll_secs=3600']);
  assert.equal(code, 0, stderr);
  const [row] = await query(`SELECT count(*) AS n, count(local_ns) AS with_ns, sum(CAST(local_ns // 1000 <> epoch_us(local_timestamp) AS INT)) AS wrong FROM ${table(out, 'trades')}`);
  assert.ok(Number(row.n) > 100);
  assert.deepEqual([row.with_ns, row.wrong], [row.n, '0']);
  assert.ok(files(out).length < files(`${dir}/parquet`).length);
  assert.deepEqual(JSON.parse(runSync(['verify', out, '--json']).stdout).findings, []);
  const plain = rederive('plain', ['--set', 'output.format=parquet', '--set', 'output.layout=plain']);
  assert.equal(plain.code, 0, plain.stderr);
  assert.ok(files(plain.out).some((f) => f.includes(`/binance/trades/${symbols[0]}/`)));
  assert.deepEqual(JSON.parse(runSync(['verify', plain.out, '--json']).stdout).findings, []);
});

test('exact decimals beside the doubles, the same in four readers; csv and jsonl have them too', async () => {
  const { out, code, stderr } = rederive('decimals', ['--set', 'output.format=parquet', '--set', 'output.decimal_columns=true']);
  assert.equal(code, 0, stderr);
  const columns = await query(`SELECT column_name, column_type FROM (DESCRIBE SELECT * FROM ${table(out, 'trades')})`);
  assert.deepEqual(columns.slice(-5).map((c) => c.column_name), ['price_decimal', 'amount_decimal', 'amount_base_decimal', 'conn_id', 'local_seq']);
  assert.deepEqual([...new Set(columns.slice(-5, -2).map((c) => c.column_type))], ['DECIMAL(38,18)']);
  // what the venue sent is in the journal as text: exactly that is in the column
  const sent = new Map();
  for (const line of runSync(['journal', 'cat', `${data}/journal`], { maxBuffer: 1 << 30 }).stdout.split('\n')) {
    const trade = /"e":"trade".*"s":"(\w+)","t":(\d+),"p":"([\d.]+)","q":"([\d.]+)"/.exec(line);
    if (trade) sent.set(`${trade[1]} ${trade[2]}`, [trade[3], trade[4]]);
  }
  const rows = await query(`SELECT symbol, trade_id, price_decimal::VARCHAR AS price, amount_decimal::VARCHAR AS amount FROM ${table(out, 'trades')} WHERE flags = 0`);
  assert.ok(rows.length > 100);
  const same = (column, text) => column === `${text}${'0'.repeat(18 - text.length + text.indexOf('.') + 1)}`;
  assert.deepEqual(rows.filter((row) => { const [p, q] = sent.get(`${row.symbol} ${row.trade_id}`); return !same(row.price, p) || !same(row.amount, q); }), []);
  for (const channel of ['trades', 'book_ticker', 'incremental_book_L2']) {
    const doubles = columns.length && (await query(`SELECT column_name AS c FROM (DESCRIBE SELECT * FROM ${table(out, channel)}) WHERE column_type LIKE 'DECIMAL%'`)).map(({ c }) => c.replace('_decimal', ''));
    const [{ wrong }] = await query(`SELECT sum(CAST(${doubles.map((c) => `${c} IS DISTINCT FROM ${c}_decimal::VARCHAR::DOUBLE`) /* its own cast to a double rounds twice */.join(' OR ')} AS INT)) AS wrong FROM ${table(out, channel)}`);
    assert.equal(wrong, '0', channel);
  }
  // pages and groups have true bounds: a filter finds all rows
  const [bounds] = await query(`SELECT min(price_decimal)::VARCHAR AS low, max(price_decimal)::VARCHAR AS high, count(*) AS n FROM ${table(out, 'trades')}`);
  const [found] = await query(`SELECT count(*) AS n FROM ${table(out, 'trades')} WHERE price_decimal BETWEEN ${bounds.low}::DECIMAL(38,18) AND ${bounds.high}::DECIMAL(38,18)`);
  assert.equal(found.n, bounds.n);
  // the other readers
  const one = files(out).find((f) => f.includes('channel=trades/') && f.endsWith('.parquet'));
  const mine = await query(`SELECT price::VARCHAR AS price FROM read_parquet('${one}')`);
  const prices = mine.map((row) => Number(row.price));
  const frame = pl.readParquet(one);
  assert.deepEqual([...frame.getColumn('price_decimal').cast(pl.Utf8).toArray()].map(Number), prices);
  const wasm = await import('parquet-wasm');
  const arrow = tableFromIPC(wasm.readParquet(new Uint8Array(readFileSync(one))).intoIPCStream());
  assert.deepEqual([...Array(arrow.numRows).keys()].map((i) => { // little-endian words of 128 bits
    const words = arrow.getChild('price_decimal').get(i);
    return Number(words.reduceRight((sum, word) => (sum << 32n) + BigInt(word), 0n)) / 1e18;
  }).map((value, i) => Math.abs(value / prices[i] - 1) < 1e-12), prices.map(() => true));
  const hyper = await parquetReadObjects({ file: new Uint8Array(readFileSync(one)).buffer, compressors, columns: ['price_decimal'] });
  assert.deepEqual(hyper.map((row, i) => Math.abs(row.price_decimal / prices[i] - 1) < 1e-12), prices.map(() => true));
  // verify and compact take them
  const today = /date=([\d-]+)/.exec(one)[1];
  assert.deepEqual(JSON.parse(runSync(['verify', out, '--json']).stdout).findings, []);
  const compacted = runSync(['compact', out, '--date', today]);
  assert.equal(compacted.code, 0, compacted.stderr);
  const [after] = await query(`SELECT count(*) AS n, count(price_decimal) AS d FROM ${table(out, 'trades')}`);
  assert.deepEqual([after.n, after.d], [bounds.n, bounds.n]);
  const csv = rederive('decimals-csv', ['--set', 'output.decimal_columns=true']);
  assert.equal(csv.code, 0, csv.stderr);
  const [head, first] = gunzipSync(readFileSync(files(csv.out).find((f) => f.includes('channel=trades/')))).toString().split('\n').map((line) => line.split(','));
  assert.equal(Number(first[head.indexOf('price_decimal')]), Number(first[head.indexOf('price')]));
});

test('fewer symbols: exactly the rows of those, with their holes and books', async () => {
  const all = `${dir}/parquet`;
  const { out, code, stderr } = rederive('fewer', ['--set', 'output.format=parquet', '--set', `binance.symbols=${symbols[0]},${symbols[1].slice(0, 3)}*,-${symbols[2]}`]);
  assert.equal(code, 0, stderr);
  const kept = [symbols[0], symbols[1]];
  for (const channel of ['trades', 'book_ticker', 'incremental_book_L2']) {
    const got = await query(`SELECT DISTINCT symbol FROM ${table(out, channel)} ORDER BY ALL`);
    assert.deepEqual(got.map((r) => r.symbol).filter((s) => !kept.includes(s)), [], channel);
    const [row] = await query(`SELECT count(*) AS n FROM ((SELECT * FROM ${table(all, channel)} WHERE symbol IN ('${kept.join("','")}') EXCEPT ALL SELECT * FROM ${table(out, channel)})
      UNION ALL (SELECT * FROM ${table(out, channel)} EXCEPT ALL SELECT * FROM ${table(all, channel)}))`);
    assert.equal(Number(row.n), 0, channel);
  }
  assert.deepEqual(JSON.parse(runSync(['verify', out, '--json']).stdout).findings, []);
  assert.ok(await difference(all, out, 'trades') > 0); // control: the whole is more
  const top = rederive('top', ['--set', 'binance.symbols=top:3']);
  assert.equal(top.code, 2);
  assert.match(top.stderr, /a journal does not tell turnover: give names or patterns/);
  remove(dir);
});
