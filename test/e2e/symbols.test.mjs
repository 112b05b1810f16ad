// symbols: names, patterns, all, top:N, exclusions; lists asked again while recording.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { folder, long, query, record, remove, runSync, simulate, sleep, symbolsOf, table } from './lib.mjs';

const planned = (sim, symbols, more = []) => {
  const out = runSync(['check', ...sim.settings, '--set', `binance.symbols=${symbols}`, ...more]);
  return { ...out, symbols: Number(/binance +(\d+) symbols/.exec(out.stdout)?.[1]) };
};

test('names, patterns, all, top:N and exclusions choose from the venue\'s own list', async () => {
  const dir = folder('symbols');
  const sim = await simulate(dir, { symbols: 40 });
  const all = symbolsOf(sim);
  assert.equal(all.length, 40);
  assert.equal(planned(sim, 'all').symbols, 40);
  assert.equal(planned(sim, 'all,-BTCUSDT').symbols, 39);
  assert.equal(planned(sim, '*USDT').symbols, all.filter((s) => s.endsWith('USDT')).length);
  assert.equal(planned(sim, '*USDT,-*BTC*,-E?H*').symbols, all.filter((s) => s.endsWith('USDT') && !s.includes('BTC') && !/^E.H/.test(s)).length);
  assert.equal(planned(sim, 'top:7').symbols, 7);
  assert.equal(planned(sim, 'top:7,-BTCUSDT').symbols, 7); // the excluded one does not count
  assert.equal(planned(sim, 'top:3,BTCUSDT,ETHUSDT').symbols >= 3, true);
  assert.equal(planned(sim, 'top:1000').symbols, 40);
  for (const [words, expected] of [['top:x', /top:N wants a number/], ['BTCUSTD', /no such symbol at the venue; did you mean BTCUSDT\?/], ['NOPE*', /no such symbol/], ['all,-*', /no symbols are chosen/]]) {
    const refused = planned(sim, words);
    assert.equal(refused.code, 2, refused.stdout);
    assert.match(refused.stderr, expected);
  }
  assert.equal((await sim.status()).websockets, 0); // all of that before any connection
  await sim.stop();
  remove(dir);
});

test('every venue\'s list: names, patterns, turnover, the nearest name', { timeout: 60000 }, async () => {
  for (const [exchange, pattern, near, right] of [['binance-futures', '*USDT', 'BTCUSTD', 'BTCUSDT'], ['kucoin', '*-USDT', 'BTC-USTD', 'BTC-USDT'], ['kucoin-futures', '*USDTM', 'XBTUSTDM', 'XBTUSDTM'],
    ['gate-io', '*_USDT', 'BTC_USTD', 'BTC_USDT'], ['gate-io-futures', '*_USDT', 'BTC_USTD', 'BTC_USDT']]) {
    const dir = folder('symbols');
    const sim = await simulate(dir, { exchange, symbols: 20 });
    const all = symbolsOf(sim);
    assert.equal(all.length, 20, exchange);
    const listed = runSync(['symbols', exchange, pattern, ...sim.settings]);
    const matching = all.filter((symbol) => symbol.endsWith(pattern.slice(1)));
    assert.equal(listed.stdout.split('\n').filter((line) => line && !line.includes('\t')).length, matching.length, exchange);
    const chosen = (words) => runSync(['check', ...sim.settings, '--set', `${sim.section}.symbols=${words}`]);
    const count = (words) => Number(new RegExp(`${exchange} +(\\d+) symbols`).exec(chosen(words).stdout)?.[1]);
    assert.deepEqual([count('all'), count(`${pattern},-${right}`), count('top:3')], [20, matching.length - 1, 3], exchange);
    const refused = chosen(near);
    assert.equal(refused.code, 2);
    assert.match(refused.stderr, new RegExp(`${near}: no such symbol at the venue; did you mean ${right}\\?`));
    assert.equal((await sim.status()).websockets, 0);
    await sim.stop();
    remove(dir);
  }
});

test('listings and delistings are taken up while recording, the other streams are left alone', async () => {
  const dir = folder('listing');
  const sim = await simulate(dir, { symbols: 12, rate: 600, faults: 'at 8s list ETHUSDT\nat 8s delist BTCUSDT\n' });
  const recorder = record({ ...sim, symbols: 'all' }, dir, ['--set', 'symbols.refresh_secs=1', '--set', 'binance.channels=trades,incremental_book_L2', '--seconds', '16'], { env: { MARKET_DATA_LOG: 'warn' } });
  await recorder.until(/symbol_new +binance: ETHUSDT/, 15000);
  await recorder.until(/symbol_gone +binance: BTCUSDT/, 15000);
  assert.equal((await recorder.exited).code, 0, recorder.stderr);
  assert.match(recorder.stdout, /symbols that came 1, that went 1/);
  assert.match(recorder.stdout, /replaced in time 0, streams subscribed again 0/);
  assert.match(recorder.stdout, /reconnects 0,/);
  const status = await sim.status();
  assert.equal(status.violations, 0);
  const rows = await query(`SELECT symbol, count(*) AS n, epoch(max(local_timestamp)) - epoch(min(local_timestamp)) AS span FROM ${table(dir, 'trades')} GROUP BY symbol`);
  const of = (symbol) => rows.find((row) => row.symbol === symbol);
  assert.ok(Number(of('ETHUSDT').n) > 10);
  assert.ok(Number(of('BTCUSDT').span) < 10, 'BTCUSDT ends when it is delisted');
  const gaps = await query(`SELECT count(*) AS n FROM glob('${dir}/exchange=*/channel=gaps/**/*.parquet')`);
  assert.equal(Number(gaps[0].n), 0); // what was asked for has no hole
  await sim.stop();
  remove(dir);
});

for (const [exchange, comes, goes] of [['binance-futures', 'ETHUSDT', 'BTCUSDT'], ['kucoin', 'ETH-USDT', 'BTC-USDT'], ['kucoin-futures', 'ETHUSDTM', 'XBTUSDTM'],
  ['gate-io', 'ETH_USDT', 'BTC_USDT'], ['gate-io-futures', 'ETH_USDT', 'BTC_USDT']]) {
  test(`${exchange}: listings and delistings are taken up while recording`, { skip: long ? false : 'MD_LONG=1' }, async () => {
    const dir = folder('listing');
    const sim = await simulate(dir, { exchange, symbols: 6, rate: 600, faults: `at 6s list ${comes}\nat 6s delist ${goes}\n` });
    const recorder = record({ ...sim, symbols: 'all' }, dir, ['--set', 'symbols.refresh_secs=1', '--set', `${sim.section}.channels=trades,incremental_book_L2`, '--seconds', '15']);
    assert.equal((await recorder.exited).code, 0, recorder.stderr);
    assert.match(recorder.stdout, /symbols that came 1, that went 1/);
    assert.match(recorder.stdout, /gaps +0; 0 ids missing; books: 5 whole after 6 snapshots/);
    assert.match(recorder.stdout, /reconnects 0, replaced in time 0, streams subscribed again 0/);
    const rows = await query(`SELECT symbol, count(*) AS n FROM ${table(dir, 'trades')} WHERE symbol IN ('${comes}', '${goes}') GROUP BY symbol`);
    assert.ok(rows.length === 2 && rows.every((row) => Number(row.n) > 100), JSON.stringify(rows));
    const status = await sim.status();
    assert.equal(status.violations + status.control_errors, 0);
    await sim.stop();
    remove(dir);
  });
}

test('SIGHUP asks at once', async () => {
  const dir = folder('hangup');
  const sim = await simulate(dir, { symbols: 6, rate: 300, faults: 'at 8s list ETHUSDT\n' });
  const recorder = record({ ...sim, symbols: '*' }, dir, ['--seconds', '40']);
  await recorder.until(/recording; SIGINT/);
  await sleep(9000);
  assert.doesNotMatch(recorder.stderr, /symbol_new/);
  recorder.child.kill('SIGHUP');
  await recorder.until(/symbol_new +binance: ETHUSDT/);
  recorder.child.kill('SIGTERM');
  assert.equal((await recorder.exited).code, 0);
  await sim.stop();
  remove(dir);
});
