// faults.md rows 18 and 19 for the whole program: an allocation that fails, wherever it is, ends in an error with words or
// in nothing at all, never in a crash; descriptors that run out stop connections, not files, and cost no processor.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdirSync } from 'node:fs';
import { describe, test } from 'node:test';
import { files, folder, long, program, query, record, remove, runSync, simulate, sleep, table } from './lib.mjs';
import { makeWorld } from './world.mjs';

// Ends with a code, not by a signal, and not silently when it is not 0.
function assertEnded({ code, signal, stdout, stderr }, what) {
  assert.equal(signal, null, `${what}: ${signal}\n${stdout}${stderr}`);
  if (code !== 0) assert.match(stderr, /market-data: .+/, `${what}: exit ${code} without a word`);
}

const spawned = (args, env, ms) => new Promise((done) => {
  const child = spawn(program, args.map(String), { env: { ...process.env, ...env }, stdio: ['ignore', 'pipe', 'pipe'] });
  const self = { stdout: '', stderr: '' };
  child.stdout.on('data', (d) => { self.stdout += d; });
  child.stderr.on('data', (d) => { self.stderr += d; });
  const timer = setTimeout(() => child.kill('SIGKILL'), ms);
  child.on('close', (code, signal) => { clearTimeout(timer); done({ code, signal, ...self }); });
});

describe('memory and descriptors', { concurrency: 4 }, () => {
test('row 18: the n-th allocation fails in check: never a crash', { timeout: 300000 }, async () => {
  const dir = folder('malloc');
  const world = makeWorld(dir);
  const args = ['check', '--offline', '--set', 'binance.symbols=BTCUSDT,ETHUSDT', '--set', 'gate.symbols=BTC_USDT'];
  const whole = runSync(args, { env: world.env });
  assert.equal(whole.code, 0, whole.stderr);
  const all = world.get('mallocs');
  let refused = 0;
  const step = long ? 1 : Math.max(1, Math.floor(all / 120));
  for (let n = 1; n <= all; n += step) {
    world.set({ mallocFailAt: n, mallocsFailed: 0 });
    const ended = runSync(args, { env: world.env });
    assertEnded(ended, `allocation ${n} of ${all}`);
    refused += ended.code !== 0;
  }
  assert.ok(refused > 0, 'no failed allocation mattered');
  remove(dir);
});

test('row 18: the n-th allocation fails in record, from the start to the end: never a crash', { timeout: 300000 }, async (t) => {
  const dir = folder('malloc-record');
  const sim = await simulate(dir, { symbols: 4, rate: 100 });
  const args = (data) => ['record', ...sim.settings, '--set', `binance.symbols=${sim.symbols}`, '--set', `data_dir=${data}`, '--set', 'http.listen=off', '--seconds', 1];
  const count = makeWorld(dir);
  const whole = await spawned(args(`${dir}/whole`), count.env, 30000);
  assert.equal(whole.code, 0, whole.stderr);
  const all = count.get('mallocs');
  const times = long ? 300 : 24;
  const numbers = Array.from({ length: times }, (_, i) => Math.round(Math.exp((Math.log(all) * (i + 1)) / times)));
  let failed = 0;
  while (numbers.length > 0) {
    await Promise.all(numbers.splice(0, 6).map(async (n) => {
      mkdirSync(`${dir}/${n}`, { recursive: true });
      const world = makeWorld(`${dir}/${n}`, { mallocFailAt: n });
      assertEnded(await spawned(args(`${dir}/${n}/data`), world.env, 30000), `allocation ${n} of ${all}`);
      failed += world.get('mallocsFailed') > 0;
    }));
  }
  await sim.stop();
  t.diagnostic(`${all} allocations in a run; ${failed} runs had one that failed`);
  assert.ok(failed >= times / 2);
  remove(dir);
});

test('row 18: every fortieth allocation of a running recorder fails for a while: it goes on', { timeout: 60000 }, async () => {
  const dir = folder('malloc-run');
  const sim = await simulate(dir, { symbols: 8, rate: 800, faults: 'every 700ms reset' });
  const world = makeWorld(dir);
  const recorder = record(sim, `${dir}/data`, ['--set', 'output.roll_secs=1', '--set', 'binance.channels=trades'], { env: world.env });
  await recorder.until(/recording;/);
  await sleep(1000);
  world.set({ mallocFailEvery: 40 });
  await sleep(4000);
  const failures = world.get('mallocsFailed');
  world.set({ mallocFailEvery: 0 });
  const again = Date.now();
  await sleep(3000);
  recorder.child.kill('SIGTERM');
  assert.equal((await recorder.exited).code, 0, recorder.stdout + recorder.stderr);
  await sim.stop();
  assert.ok(failures > 10, `${failures} allocations failed`);
  const [{ late }] = await query(`SELECT count(*) AS late FROM ${table(`${dir}/data`, 'trades')} WHERE epoch_ms(local_timestamp) > ${again + 500}`);
  assert.ok(Number(late) > 100, `${late} trades after it was over`);
  remove(dir);
});

test('row 19: 64 descriptors for 60 connections: files go on, the other connections are tried quietly', { timeout: 60000 }, async (t) => {
  const dir = folder('descriptors');
  const sim = await simulate(dir, { symbols: 60, rate: 60 });
  const plain = record(sim, `${dir}/data`, ['--set', 'binance.channels=trades', '--set', 'binance.streams_per_connection=1', '--set', 'output.roll_secs=2',
    '--set', 'net.backoff_min_ms=1000', '--set', 'net.backoff_max_ms=60000', '--seconds', '12'], { command: 'bash', before: ['-c', 'ulimit -n 64; exec "$@"', 'bash', program] });
  const { code } = await plain.exited;
  const status = await sim.status();
  await sim.stop();
  assert.equal(code, 0, plain.stdout + plain.stderr);
  assert.match(plain.stdout, /warning: about \d+ file descriptors wanted, 64 allowed/);
  const [, live] = /connections (\d+) of 60 live at the end/.exec(plain.stdout);
  assert.ok(Number(live) >= 10 && Number(live) < 60, `${live} connections`);
  assert.equal(status.violations, 0);
  const sealed = files(`${dir}/data`).filter((file) => file.endsWith('.parquet') && !file.includes('.inprogress-'));
  assert.ok(sealed.length > Number(live), `${sealed.length} files`);
  assert.match(plain.stdout, /files .*; 0 failed/);
  const [, processor] = /processor +([\d.]+) s/.exec(plain.stdout);
  const [, ran] = /^Recorded ([\d.]+) s/m.exec(plain.stdout);
  const lines = plain.stderr.split('\n').filter((line) => /too many open files/i.test(line)).length;
  assert.ok(lines >= 1 && lines <= 8, plain.stderr);
  t.diagnostic(`${live} of 60 connections, ${sealed.length} files; processor ${processor} s in ${ran} s`);
  // no busy loop: handshakes and sealing are in it too
  assert.ok(Number(processor) < Number(ran) * 0.05, `${processor} s of processor in ${ran} s`);
  remove(dir);
});
});
