// A disk ten times too slow, with two exchanges in one recorder (world.c slows it at the C library's door): memory
// keeps to the plan, what was sent is what is stored plus what is counted as dropped, exactly, per exchange and
// channel; and when the disk is itself again, capture is too, without help. faults.md row 7.
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { describe, test } from 'node:test';
import { budgetOf, channels, folder, query, record, remove, runSync, simulate, sleep, table } from './lib.mjs';
import { makeWorld } from './world.mjs';

const venues = ['binance', 'gate-io'];

// One recorder of both venues, in a world of its own.
async function start(dir, settings) {
  const sims = [];
  for (const exchange of venues) sims.push(await simulate(dir, { exchange, symbols: 10, rate: 1500 }));
  const ca = `${dir}/ca.pem`;
  writeFileSync(ca, sims.map((sim) => readFileSync(sim.ca, 'utf8')).join(''));
  const all = sims.flatMap((sim) => [...sim.settings, '--set', `${sim.section}.symbols=${sim.symbols}`, '--set', `${sim.section}.channels=trades,book_ticker,incremental_book_L2`]);
  const world = makeWorld(dir);
  const recorder = record({ ...sims[0], settings: [...all, '--set', `net.ca_file=${ca}`] }, `${dir}/data`,
    ['--set', 'journal.keep=1', '--set', 'backfill.enabled=false', '--set', 'output.roll_secs=2', '--set', 'net.message_bytes_max=262144', '--set', 'memory.queue_bytes=1MiB', ...settings], { env: world.env });
  await recorder.until(/recording;/);
  const stop = async () => {
    recorder.child.kill('SIGTERM');
    const { code } = await recorder.exited;
    for (const sim of sims) await sim.stop();
    assert.equal(code, 0, recorder.stdout + recorder.stderr);
  };
  return { recorder, world, sims, stop };
}

// Drops by "exchange channel": as the summary says, and as the gaps table says; with how many rows.
function dropsTold(recorder) {
  return Object.fromEntries([...recorder.stdout.matchAll(/^ {4}(\d+) x (\S+ \S+): the queue was full$/gm)].map(([, n, what]) => [what, Number(n)]));
}
async function dropsWritten(data) {
  if (!channels(data).includes('gaps')) return {};
  const rows = await query(`SELECT exchange || ' ' || channel AS what, sum(missing) AS n, count(*) AS bursts FROM ${table(data, 'gaps')} WHERE kind = 'queue_drop' GROUP BY 1`);
  return Object.fromEntries(rows.map((row) => [row.what, { n: Number(row.n), bursts: Number(row.bursts) }]));
}
// Trades that are not there between the first and the last of each symbol.
async function tradesMissing(data) {
  const rows = await query(`SELECT exchange, sum(last - first + 1 - n) AS n FROM (SELECT exchange, symbol, min(trade_id) AS first, max(trade_id) AS last, count(*) AS n
    FROM ${table(data, 'trades')} GROUP BY ALL) GROUP BY 1`);
  return Object.fromEntries(rows.map((row) => [row.exchange, Number(row.n)]));
}
const journaled = (data) => runSync(['journal', 'cat', `${data}/journal`], { maxBuffer: 1 << 30 }).stdout.match(/^\S+\t\S+\t\d+\trecv\t/gm).length;

describe('too much for the disk', { concurrency: 4 }, () => {
test('a disk ten times too slow: sent = stored + counted drops, exactly; capture recovers by itself', { timeout: 120000 }, async (t) => {
  const dir = folder('overload');
  const data = `${dir}/data`;
  const { recorder, world, stop } = await start(dir, []);
  await sleep(2000);
  const before = world.get('writtenBytes');
  await sleep(3000);
  const wanted = (world.get('writtenBytes') - before) / 3; // what the recorder asks of the disk
  world.set({ diskBytesPerSecond: Math.round(wanted / 10) });
  await recorder.until(/frame ring full/, 60000);
  await sleep(4000);
  world.set({ diskBytesPerSecond: 0 });
  await sleep(5000);
  await stop();

  const told = dropsTold(recorder);
  const written = await dropsWritten(data);
  const sum = Object.values(told).reduce((a, b) => a + b, 0);
  assert.ok(sum > 0, recorder.stdout);
  assert.deepEqual(Object.keys(told).sort(), Object.keys(written).sort());
  for (const [what, n] of Object.entries(told)) assert.equal(written[what].n, n, what);
  for (const venue of venues) assert.ok(Object.keys(told).some((what) => what.startsWith(`${venue} `)), `${venue}: ${Object.keys(told)}`);
  // a row a burst, not a row a message: a burst ends when nothing was dropped for a second
  for (const { bursts } of Object.values(written)) assert.ok(bursts <= 20, JSON.stringify(written));
  // received = stored + dropped, to the message
  const [, received] = /messages +(\d+) \(/.exec(recorder.stdout);
  assert.equal(journaled(data) + sum, Number(received));
  // and by the venues' own ids: what is not there is what was counted
  const missing = await tradesMissing(data);
  for (const venue of venues) assert.equal(missing[venue], told[`${venue} trades`] ?? 0, `${venue}: trades`);
  // after the disk was itself again, nothing was dropped any more
  const [{ quiet }] = await query(`SELECT epoch(max(t.local_timestamp)) - epoch(max(g.to_local)) AS quiet FROM
    (SELECT max(local_timestamp) AS local_timestamp FROM ${table(data, 'trades')}) t, (SELECT max(local_timestamp) AS to_local FROM ${table(data, 'gaps')} WHERE kind = 'queue_drop') g`);
  assert.ok(Number(quiet) > 2, `${quiet} s of trades after the last drop`);
  // those that matter less went first
  const [, ratio] = ['book_ticker', 'trades'].map((channel) => (told[`binance ${channel}`] ?? 0));
  assert.ok((told['binance book_ticker'] ?? 0) > 0 && ratio <= told['binance book_ticker'] * 2, JSON.stringify(told));
  const { peak, planned } = budgetOf(recorder);
  t.diagnostic(`${received} received, ${sum} dropped: ${JSON.stringify(told)}; disk wanted ${Math.round(wanted / 1024)} KiB/s, had a tenth; peak ${(peak / 2 ** 20).toFixed(1)} MiB of ${(planned / 2 ** 20).toFixed(1)} planned`);
  remove(dir);
});

test('row 7: syncs of three seconds stall neither capture nor landing: nothing is dropped', { timeout: 60000 }, async () => {
  const dir = folder('sync');
  const { recorder, world, stop } = await start(dir, []);
  await sleep(1000);
  world.set({ syncMs: 3000 });
  await sleep(5000);
  world.set({ syncMs: 0 });
  await sleep(1000);
  await stop();
  assert.match(recorder.stdout, /drops +0;/);
  const [, slowest] = /slowest (\d+)\.\d ms/.exec(recorder.stdout);
  assert.ok(Number(slowest) >= 3000, `the slowest sync took ${slowest} ms`);
  assert.deepEqual(Object.values(await tradesMissing(`${dir}/data`)), [0, 0]);
  remove(dir);
});

test('output.queue_full: pause: nothing is dropped; the venues see a slow reader, and each hole is a row', { timeout: 90000 }, async () => {
  const dir = folder('pause');
  const data = `${dir}/data`;
  const { recorder, world, sims, stop } = await start(dir, ['--set', 'output.queue_full=pause', '--set', 'output.queue_capacity=2000']);
  await sleep(1500);
  world.set({ diskBytesPerSecond: 10000 });
  await sleep(7000);
  world.set({ diskBytesPerSecond: 0 });
  await sleep(3000);
  const status = await Promise.all(sims.map((sim) => sim.status()));
  await stop();
  assert.match(recorder.stdout, /drops +0;/);
  const [, high] = /queue +at most (\d+) messages/.exec(recorder.stdout);
  assert.ok(Number(high) <= 2000, `${high} messages in a queue of 2000`);
  assert.ok(status.some((one) => (one.violations_by_kind.slow_client ?? 0) > 0), 'the venues never saw a slow reader: the queue was not full');
  // Gate's trade ids are no promise, so its rows say when, not how many
  const holes = await query(`SELECT exchange, symbol, max(trade_id) - min(trade_id) + 1 - count(*) AS n FROM ${table(data, 'trades')} GROUP BY ALL HAVING n > 0`);
  const rows = await query(`SELECT exchange, symbol, coalesce(sum(missing), 0) AS n FROM ${table(data, 'gaps')} WHERE channel = 'trades' AND kind = 'reconnect' GROUP BY ALL`);
  assert.ok(holes.length > 0);
  for (const hole of holes) {
    const known = rows.find((row) => row.exchange === hole.exchange && row.symbol === hole.symbol);
    assert.ok(known, `${hole.exchange} ${hole.symbol}: ${hole.n} trades missing without a row`);
    if (hole.exchange === 'binance') assert.equal(known.n, hole.n, hole.symbol);
  }
  remove(dir);
});

test('output.queue_capacity: 0 = bounded by memory.queue_bytes alone', { timeout: 60000 }, async () => {
  const dir = folder('capacity');
  const { recorder, world, stop } = await start(dir, ['--set', 'output.queue_capacity=0']);
  await sleep(1000);
  world.set({ diskBytesPerSecond: 10000 });
  await recorder.until(/frame ring full/, 30000);
  world.set({ diskBytesPerSecond: 0 });
  await sleep(1500);
  await stop();
  const [, most, number, of] = /queue +at most \d+ messages, (([\d.]+) \w+) of (\S+ \S+)/.exec(recorder.stdout);
  assert.equal(of, '1.00 MiB');
  assert.ok(most.endsWith('KiB') && Number(number) > 700, `${most} of ${of}`);
  remove(dir);
});
});
