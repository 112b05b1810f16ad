// Several venues in one recorder: what one of them does leaves the others untouched.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { writeFileSync, existsSync } from 'node:fs';
import { folder, remove, simulate, record, query, table, runSync } from './lib.mjs';

const some = ['--set', 'binance.channels=trades,book_ticker', '--seconds', '6'];
const rows = async (data) => Number((await query(`SELECT count(*) AS n FROM ${table(data, 'trades')} WHERE exchange = 'binance'`))[0].n);

test('a venue that is down leaves the others untouched', { timeout: 60000 }, async () => {
  const dir = folder('venues');
  const sim = await simulate(dir, { symbols: 5, rate: 500 });
  const recorder = record(sim, `${dir}/data`, [...some,
    '--set', 'gate.symbols=BTC_USDT,ETH_USDT', '--set', 'gate.ws_url=wss://127.0.0.1:1/ws/v4/', '--set', 'gate.rest_url=https://127.0.0.1:1/api/v4',
    '--set', 'kucoin.symbols=BTC-USDT', '--set', 'kucoin.uta_url=wss://127.0.0.1:1', '--set', 'kucoin.rest_url=https://127.0.0.1:1']);
  const { code } = await recorder.exited;
  assert.equal(code, 0, recorder.stdout + recorder.stderr);
  assert.ok(await rows(`${dir}/data`) > 1500);
  assert.match(recorder.stderr, /gate-io/);
  assert.match(recorder.stderr, /kucoin/);
  assert.ok(recorder.stderr.split('\n').length < 40, recorder.stderr);
  assert.equal((await sim.status()).violations, 0);
  await sim.stop();
  remove(dir);
});

test('a key file that others may read is refused before anything is connected, and never shown', { timeout: 60000 }, async () => {
  const dir = folder('venues');
  const sim = await simulate(dir, { symbols: 5, rate: 500 });
  writeFileSync(`${dir}/key`, 'wrong', { mode: 0o644 });
  const args = ['--set', 'binance.feed=sbe', '--set', `binance.api_key_file=${dir}/key`, '--set', `binance.sbe_url=wss://127.0.0.1:${sim.port}/nowhere`];
  const open = runSync(['check', '--set', 'binance.symbols=BTCUSDT', ...sim.settings, ...args]);
  assert.equal(open.code, 2, open.stdout + open.stderr);
  assert.match(open.stderr, /key: .*(mode|0644|others)/);
  assert.ok(!open.stderr.includes('wrong'));
  assert.ok(!existsSync(`${dir}/data`));
  await sim.stop();
  remove(dir);
});

test('an unknown symbol of any venue is named with the nearest, before any connection', { timeout: 60000 }, async () => {
  const dir = folder('venues');
  const sim = await simulate(dir, { symbols: 5, rate: 500 });
  const wrong = runSync(['record', '--set', `data_dir=${dir}/data`, '--set', 'binance.symbols=BTCUSTD', ...sim.settings]);
  assert.equal(wrong.code, 2, wrong.stdout + wrong.stderr);
  assert.match(wrong.stderr, /BTCUSTD.*BTCUSDT/);
  assert.equal((await sim.status()).websockets, 0);
  await sim.stop();
  remove(dir);
});
