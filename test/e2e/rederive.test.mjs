// rederive from a kept journal: the same bytes when nothing changed; another format, other options of the
// schema, fewer symbols when asked; and what cannot be told from a journal is refused.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { before, test } from 'node:test';
import { gunzipSync } from 'node:zlib';
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
