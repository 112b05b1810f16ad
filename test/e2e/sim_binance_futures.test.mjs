// Binance USD-M futures as the simulator plays them: the recorder and third-party clients on its two routes.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { folder, remove, simulate, record, query, table, channels } from './lib.mjs';

const all = 'trades,agg_trades,book_ticker,incremental_book_L2,book_snapshot_5,book_snapshot_20,derivative_ticker,liquidations,candles,ticker';

test('every channel is recorded, over both routes, without a gap or a violation', { timeout: 60000 }, async () => {
  const dir = folder('futures');
  const sim = await simulate(dir, { exchange: 'binance-futures', symbols: 12, rate: 2000 });
  const recorder = record(sim, `${dir}/data`, ['--set', `binance_futures.channels=${all}`, '--set', 'binance_futures.open_interest_secs=2', '--seconds', '12']);
  const { code } = await recorder.exited;
  assert.equal(code, 0, recorder.stdout + recorder.stderr);
  assert.equal(recorder.stderr, '');
  assert.match(recorder.stdout, /gaps +0;.*12 whole/);
  assert.match(recorder.stdout, /undecodable 0/);
  const status = await sim.status();
  assert.equal(status.violations, 0, JSON.stringify(status.violations_by_kind));
  assert.equal(status.streams_unknown, 0); // nothing was asked for on the wrong route
  assert.deepEqual(channels(`${dir}/data`).sort(), ['book_snapshot_20', 'book_snapshot_5', 'book_ticker', 'candles', 'derivative_ticker', 'incremental_book_L2',
    'instruments', 'liquidations', 'ticker', 'trades']);
  // placeholder rows use up ids: with them no id is missing, and they are told apart
  const [ids] = await query(`SELECT sum(high - low + 1 - n) AS holes, sum(placeholders) AS placeholders FROM (SELECT symbol, flags & 1 AS aggregate, min(trade_id) AS low, max(trade_id) AS high,
    count(*) AS n, count(*) FILTER (flags & 16 <> 0 AND price = 0) AS placeholders FROM ${table(`${dir}/data`, 'trades')} GROUP BY ALL)`);
  assert.equal(Number(ids.holes), 0);
  assert.ok(Number(ids.placeholders) > 50);
  const [base] = await query(`SELECT count(*) AS n, count(*) FILTER (amount_base = amount) AS same FROM ${table(`${dir}/data`, 'trades')}`);
  assert.equal(Number(base.n), Number(base.same));
  const [interest] = await query(`SELECT count(*) FILTER (open_interest IS NOT NULL) AS interest, count(*) FILTER (mark_price IS NOT NULL AND funding_rate = 0.0001) AS mark FROM ${table(`${dir}/data`, 'derivative_ticker')}`);
  assert.ok(Number(interest.interest) >= 36, `${interest.interest} open interests`);
  assert.ok(Number(interest.mark) >= 100, `${interest.mark} mark prices`);
  await sim.stop();
  remove(dir);
});
