// Bad output folders and clocks, in the real program: each is a clear line, counted, recovered from when the cause goes
// away, and nothing is lost silently. (A full disk is in faults.test.mjs, a wrong folder at the start in cli.test.mjs.)
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { existsSync, renameSync, rmSync } from 'node:fs';
import { dirname } from 'node:path';
import { describe, test } from 'node:test';
import { files, folder, query, record, remove, runSync, simulate, sleep, table } from './lib.mjs';
import { makeWorld } from './world.mjs';

const some = ['--set', 'backfill.enabled=false', '--set', 'output.roll_secs=2', '--set', 'binance.channels=trades,book_ticker', '--set', 'net.message_bytes_max=65536', '--set', 'memory.queue_bytes=1MiB'];
const market = { symbols: 8, rate: 1500, seed: 5 };

const tradesMissing = async (data) => Number((await query(`SELECT coalesce(sum(last - first + 1 - n), 0) AS n FROM (SELECT symbol, min(trade_id) AS first, max(trade_id) AS last, count(*) AS n
  FROM ${table(data, 'trades')} GROUP BY 1)`))[0].n);
const dropsOf = (recorder, channel) => Number(new RegExp(`(\\d+) x binance ${channel}: the queue was full`).exec(recorder.stdout)?.[1] ?? 0);
const lines = (recorder, kind) => recorder.stderr.split('\n').filter((line) => line.includes(` ${kind} `)).length;

describe('folders and clocks', { concurrency: 4 }, () => {
test('a disk that becomes read-only: said, capture goes on, drops counted; writable again, all goes on by itself', { timeout: 60000 }, async () => {
  const dir = folder('readonly');
  const data = `${dir}/data`;
  const sim = await simulate(dir, market);
  const world = makeWorld(dir);
  const recorder = record(sim, data, some, { env: world.env });
  await recorder.until(/recording;/);
  await sleep(1500);
  world.set({ diskErrno: 30 });
  await recorder.until(/frame ring full/, 30000);
  await sleep(1000);
  world.set({ diskErrno: 0 });
  await sleep(3000);
  recorder.child.kill('SIGTERM');
  assert.equal((await recorder.exited).code, 0, recorder.stdout + recorder.stderr);
  await sim.stop();
  assert.match(recorder.stderr, /journal_failing/);
  assert.match(recorder.stderr, /read-only/);
  assert.ok(lines(recorder, 'journal_failing') <= 6, recorder.stderr);
  assert.ok(dropsOf(recorder, 'trades') > 0);
  assert.equal(await tradesMissing(data), dropsOf(recorder, 'trades'));
  remove(dir);
});

test('a folder that refuses new files for a while: one line of a kind, nothing lost, sealed when it takes them again', { timeout: 60000 }, async (t) => {
  const dir = folder('denied');
  const data = `${dir}/data`;
  const sim = await simulate(dir, market);
  const recorder = record(sim, data, some);
  await recorder.until(/recording;/);
  for (let i = 0; i < 100 && !(existsSync(`${data}/exchange=binance/channel=trades`) && files(`${data}/exchange=binance/channel=trades`).some((file) => !file.includes('.inprogress-'))); i++) await sleep(100);
  const hour = dirname(files(`${data}/exchange=binance/channel=trades`)[0]);
  const immutable = (how) => spawnSync('chattr', [how, hour]).status === 0; // refuses root too
  const denied = immutable('+i');
  if (denied) await recorder.until(/seal_failed/, 20000);
  await sleep(1500);
  if (denied) immutable('-i');
  await sleep(2500);
  recorder.child.kill('SIGTERM');
  assert.equal((await recorder.exited).code, 0, recorder.stdout + recorder.stderr);
  await sim.stop();
  assert.match(recorder.stdout, /drops +0;/);
  assert.equal(await tradesMissing(data), 0);
  if (denied) {
    assert.ok(lines(recorder, 'seal_failed') <= 6, recorder.stderr);
    assert.match(recorder.stdout, /files .*; [1-9]\d* failed/);
  }
  remove(dir);
  if (!denied) t.skip('this file system knows no immutable folder');
});

test('the folder is deleted while recording: said, made again, capture goes on; the journal is whole from there', { timeout: 60000 }, async () => {
  const dir = folder('gone');
  const data = `${dir}/data`;
  const sim = await simulate(dir, market);
  const recorder = record(sim, data, [...some, '--set', 'journal.keep=1']);
  await recorder.until(/recording;/);
  await sleep(2500);
  const gone = Date.now();
  renameSync(data, `${dir}/gone`); // so that only the old one is deleted, however often it takes
  rmSync(`${dir}/gone`, { recursive: true, force: true, maxRetries: 50, retryDelay: 20 });
  await recorder.until(/folder_gone/, 15000);
  await sleep(5000);
  recorder.child.kill('SIGTERM');
  assert.equal((await recorder.exited).code, 0, recorder.stdout + recorder.stderr);
  await sim.stop();
  assert.equal(lines(recorder, 'folder_gone'), 1);
  assert.match(recorder.stdout, /drops +0;/);
  assert.ok(existsSync(`${data}/journal`));
  // from the deletion on nothing is missing: what was in memory and all that came later is in files
  assert.equal(await tradesMissing(data), 0);
  const [{ first }] = await query(`SELECT epoch_ms(min(local_timestamp)) AS first FROM ${table(data, 'trades')}`);
  assert.ok(Number(first) < gone + 500, `the first trade is ${Number(first) - gone} ms after the deletion`);
  const manifest = files(data).filter((file) => file.includes('/manifest/'));
  assert.ok(manifest.length > 0);
  const read = runSync(['rederive', `${data}/journal`, '-o', `${dir}/again`]);
  assert.equal(read.code, 0, read.stderr);
  remove(dir);
});

test('row 8: the wall clock goes an hour back, then a day forward: stamps never go back, files are where their hour says', { timeout: 60000 }, async () => {
  const dir = folder('clock');
  const data = `${dir}/data`;
  const sim = await simulate(dir, market);
  const world = makeWorld(dir);
  const recorder = record(sim, data, some, { env: world.env });
  await recorder.until(/recording;/);
  await sleep(2000);
  world.set({ clockNs: -3600e9 });
  await sleep(3000);
  world.set({ clockNs: 86400e9 });
  await sleep(3000);
  recorder.child.kill('SIGTERM');
  assert.equal((await recorder.exited).code, 0, recorder.stdout + recorder.stderr);
  await sim.stop();
  assert.match(recorder.stdout, /drops +0;/);
  assert.equal(await tradesMissing(data), 0);
  const trades = table(data, 'trades').replace('hive_partitioning = false', 'hive_partitioning = false, filename = true');
  const [{ wrong }] = await query(`SELECT count(*) AS wrong FROM (SELECT local_timestamp < lag(local_timestamp) OVER (ORDER BY local_seq) OR local_seq = lag(local_seq) OVER (ORDER BY local_seq) AS bad
    FROM ${trades} WHERE flags = 0 OR flags = 1) WHERE bad`);
  assert.equal(Number(wrong), 0, 'times that go back, or a message twice');
  const misplaced = await query(`SELECT count(*) AS n FROM ${trades} WHERE strftime(local_timestamp AT TIME ZONE 'UTC', 'date=%Y-%m-%d/hour=%H') <> regexp_extract(filename, 'date=[^/]+/hour=[0-9]+')`);
  assert.equal(Number(misplaced[0].n), 0);
  const [{ days }] = await query(`SELECT count(DISTINCT regexp_extract(filename, 'date=[^/]+')) AS days FROM ${trades}`);
  assert.equal(Number(days), 2);
  remove(dir);
});

test('row 9: an hour ends under way: each row is in the file of its hour, none is missing, none twice', { timeout: 60000 }, async () => {
  const dir = folder('hour');
  const data = `${dir}/data`;
  const sim = await simulate(dir, { ...market, symbols: 60 });
  const untilHour = 3600e3 - (Date.now() % 3600e3);
  const world = makeWorld(dir, { clockNs: Math.round((untilHour - 5000) * 1e6) }); // five seconds before an hour
  const recorder = record(sim, data, ['--set', 'binance.channels=trades,book_ticker,incremental_book_L2', '--set', 'output.close_spread_secs=2', '--seconds', '11'], { env: world.env });
  assert.equal((await recorder.exited).code, 0, recorder.stdout + recorder.stderr);
  await sim.stop();
  assert.match(recorder.stdout, /drops +0;/);
  assert.equal(await tradesMissing(data), 0);
  for (const channel of ['trades', 'book_ticker', 'incremental_book_L2']) {
    const rows = table(data, channel).replace('hive_partitioning = false', 'hive_partitioning = false, filename = true');
    const [got] = await query(`SELECT count(*) FILTER (strftime(local_timestamp AT TIME ZONE 'UTC', 'hour=%H') <> regexp_extract(filename, 'hour=[0-9]+')) AS misplaced,
      count(DISTINCT regexp_extract(filename, 'hour=[0-9]+')) AS hours, count(DISTINCT filename) - count(DISTINCT (symbol, regexp_extract(filename, 'hour=[0-9]+'))) AS further FROM ${rows}`);
    assert.deepEqual([got.misplaced, got.hours, got.further].map(Number), [0, 2, 0], channel); // and one file an hour
  }
  remove(dir);
});

test('a path too long is refused by name and range before anything is made', () => {
  const said = runSync(['record', '--set', `data_dir=/tmp/${'x'.repeat(200)}`, '--set', 'binance.symbols=BTCUSDT', '--seconds', '1']);
  assert.equal(said.code, 2);
  assert.match(said.stderr, /^market-data: .*data_dir: 205 characters: allowed is 1 to 200[^\n]*\n$/);
});
});
