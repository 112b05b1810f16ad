// Chosen symbols over two connections all the time (binance.redundant_symbols): what is lost on one comes on the
// other, and a connection that dies interrupts nothing. The other symbols are the control.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { folder, query, record, remove, simulate, table } from './lib.mjs';

test('redundant symbols have no gap row under lost messages and resets, the others have', { timeout: 90000 }, async () => {
  const dir = folder('redundant');
  // each connection in turn says nothing for a while (what was sent meanwhile is lost on it), then dies
  const sim = await simulate(dir, { symbols: 8, rate: 400,
    faults: 'after 3s conn 1 silence 1200ms\nafter 6s conn 2 silence 800ms\nafter 8s conn 1 reset\nafter 11s conn 2 reset' });
  const data = `${dir}/data`;
  const recorder = record(sim, data, ['--set', 'binance.channels=trades,incremental_book_L2', '--set', 'binance.redundant_symbols=BTCUSDT,ETH*',
    '--set', 'backfill.enabled=false', '--set', 'binance.streams_per_connection=16', '--seconds', '16']);
  const { code } = await recorder.exited;
  assert.equal(code, 0, recorder.stdout + recorder.stderr);
  const status = await sim.status();
  await sim.stop();
  assert.ok(status.messages_withheld > 100 && status.faults_by_kind.reset === 2, JSON.stringify(status));
  assert.equal(status.violations, 0, JSON.stringify(status));
  const gaps = await query(`SELECT symbol, channel, kind, resolved_by, from_id, to_id, missing FROM ${table(data, 'gaps')}`);
  const redundant = gaps.filter((gap) => /^(BTCUSDT|ETH)/.test(gap.symbol));
  const rest = gaps.filter((gap) => !/^(BTCUSDT|ETH)/.test(gap.symbol));
  assert.deepEqual(redundant, []);
  assert.ok(rest.some((gap) => gap.kind === 'sequence') && rest.some((gap) => gap.kind === 'reconnect'), 'the control has no gaps');
  const trades = await query(`SELECT symbol, max(trade_id) - min(trade_id) + 1 - count(*) AS missing, count(*) - count(DISTINCT trade_id) AS twice, count(*) AS n
    FROM ${table(data, 'trades')} WHERE regexp_matches(symbol, '^(BTCUSDT|ETH)') GROUP BY ALL`);
  for (const row of trades) assert.deepEqual([row.symbol, Number(row.missing), Number(row.twice)], [row.symbol, 0, 0]);
  assert.ok(trades.length >= 2 && trades.every((row) => Number(row.n) > 150), JSON.stringify(trades));
  const depth = await query(`WITH steps AS (SELECT symbol, lag(l) OVER (PARTITION BY symbol ORDER BY local_seq) AS before, f FROM (
      SELECT DISTINCT symbol, local_seq, first_update_id AS f, last_update_id AS l FROM ${table(data, 'incremental_book_L2')}
      WHERE NOT is_snapshot AND regexp_matches(symbol, '^(BTCUSDT|ETH)')))
    SELECT * FROM steps WHERE f <> before + 1`);
  assert.deepEqual(depth, []);
  remove(dir);
});
