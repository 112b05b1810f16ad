// The plan before anything runs: refusals that name what would do, estimates, warnings with the value to use.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { program, runSync } from './lib.mjs';

const symbols = (n) => Array.from({ length: n }, (_, i) => `S${i}USDT`).join(',');
const check = (...args) => runSync(['check', '--offline', ...args.flatMap((pair) => ['--set', pair])]);

test('a plan that does not fit names three settings, and with them it fits', () => {
  const plans = [
    ['binance.symbols=BTCUSDT', 'memory.budget=60MiB', 'output.parquet_batch_size=400000', 'tune=off'],
    ['binance.symbols=BTCUSDT', 'memory.budget=20MiB'],
    [`binance.symbols=${symbols(1000)}`, 'memory.budget=100MiB', 'memory.book_bytes=200MiB'],
    [`binance.symbols=${symbols(1000)}`, 'memory.budget=100MiB', 'output.parquet_max_open_files=65536', 'memory.row_block_bytes=64MiB', 'book.enabled=false'],
    [`kucoin.symbols=${symbols(3000)}`, 'memory.budget=64MiB'],
  ];
  for (const plan of plans) {
    const refused = check(...plan);
    assert.equal(refused.code, 3, refused.stdout + refused.stderr);
    const [, hints] = /it fits with: (.+) \(market-data check/.exec(refused.stderr);
    assert.equal(hints.split(', ').length, 3, hints);
    const again = check(...plan, ...hints.split(', '));
    assert.equal(again.code, 0, `${plan[0].slice(0, 40)} ${plan.slice(1)} with ${hints}: ${again.stderr}`);
  }
});

test('the scale is estimated, and what is unwise is warned of with the value to use', () => {
  const cases = [
    [['memory.budget=256MiB', `binance.symbols=${symbols(200)}`], /200 symbols with output\.parquet_batch_size 50000 on a small machine: use 5000/],
    [[`binance.symbols=${symbols(1000)}`], /3\d\d\d partitions share 128 blocks .*use 4\d\d or more/],
    [[`binance.symbols=${symbols(500)}`, 'output.roll_secs=60'], /output\.roll_secs 60: 2\d{6} files a day.*use 3600/],
    [[`binance.symbols=${symbols(1000)}`, 'output.parquet_zstd_level=19'], /output\.parquet_zstd_level 19 .*use 3 to 9/],
    [[`kucoin.symbols=${symbols(20)}`, 'kucoin.subscribe_delay_ms=10', 'kucoin.global_subscribe_delay_ms=0'], /kucoin\.subscribe_delay_ms 10: .*use 150/],
  ];
  for (const [plan, warning] of cases) {
    const said = check(...plan, ...(plan.some((p) => p.startsWith('memory.budget')) ? [] : ['memory.budget=2GiB']));
    assert.equal(said.code, 0, said.stderr);
    assert.match(said.stdout, warning);
    assert.match(said.stdout, /rate +about \d+ messages and \d+ rows a second\n +disk +about \d+ files and .+ a day; journal .+ a day/);
  }
  const wise = check('binance.symbols=BTCUSDT,ETHUSDT', 'memory.budget=2GiB').stdout;
  assert.equal(wise.match(/^warning/gm).length, 1, wise); // that the names were not checked
  // 24 hours, two symbols, three channels
  assert.match(wise, /about 144 files and/);
  const limited = runSync(['-c', `ulimit -n 100 && exec "$0" check --offline --set binance.symbols=${symbols(60)} --set binance.streams_per_connection=1`, program], { command: 'bash' });
  assert.match(limited.stdout, /warning: about \d+ file descriptors wanted, 100 allowed: .*ulimit -n \d+/);
});
