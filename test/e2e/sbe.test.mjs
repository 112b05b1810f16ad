// Binance's binary feed (SBE): the same market as over JSON, and a key that is wanted, refused or missing.
import { test } from 'node:test';
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { files, folder, remove, simulate, record, query, table, runSync } from './lib.mjs';

const key = 'a-key-that-must-not-show';
const sbe = (sim, dir, text = key) => {
  writeFileSync(`${dir}/key`, `${text}\n`, { mode: 0o600 });
  return ['--set', 'binance.feed=sbe', '--set', `binance.api_key_file=${dir}/key`, '--set', `binance.sbe_url=wss://127.0.0.1:${sim.port}/sbe`];
};
const channels = ['--set', 'binance.channels=trades,book_ticker,incremental_book_L2,book_snapshot_20,ticker'];

test('both forms of the feed land the same rows', { timeout: 60000 }, async () => {
  const dir = folder('sbe');
  const sim = await simulate(dir, { symbols: 10, rate: 1500 });
  const binary = record(sim, `${dir}/binary`, [...channels, ...sbe(sim, dir), '--seconds', '8']);
  const text = record(sim, `${dir}/text`, [...channels, '--seconds', '8']);
  for (const recorder of [binary, text]) {
    const { code } = await recorder.exited;
    assert.equal(code, 0, recorder.stdout + recorder.stderr);
    assert.match(recorder.stdout, /gaps +0;/);
    assert.match(recorder.stdout, /undecodable 0/);
  }
  assert.equal((await sim.status()).violations, 0);
  const both = { trades: ['trade_id', 'side, price, amount, timestamp'], book_ticker: ['update_id', 'ask_amount, ask_price, bid_price, bid_amount'],
    incremental_book_L2: ['last_update_id', 'side, price, amount, first_update_id, timestamp'], book_snapshot_20: ['last_update_id', '* EXCLUDE (local_timestamp, conn_id, local_seq, timestamp)'] };
  for (const [channel, [id, columns]] of Object.entries(both)) {
    const from = (data) => `SELECT ${columns}${columns.startsWith('*') ? '' : `, symbol, ${id}`} FROM ${table(`${dir}/${data}`, channel)}
      ${channel === 'incremental_book_L2' ? 'WHERE NOT is_snapshot' : ''}`;
    const [row] = await query(`WITH a AS (${from('binary')}), b AS (${from('text')}),
      range AS (SELECT symbol, greatest(a.low, b.low) AS low, least(a.high, b.high) AS high FROM
        (SELECT symbol, min(${id}) AS low, max(${id}) AS high FROM a GROUP BY ALL) a JOIN (SELECT symbol, min(${id}) AS low, max(${id}) AS high FROM b GROUP BY ALL) b USING (symbol)),
      x AS (SELECT a.* FROM a JOIN range USING (symbol) WHERE ${id} BETWEEN low AND high), y AS (SELECT b.* FROM b JOIN range USING (symbol) WHERE ${id} BETWEEN low AND high)
      SELECT (SELECT count(*) FROM x) AS rows, (SELECT count(*) FROM (FROM x EXCEPT FROM y)) AS only_binary, (SELECT count(*) FROM (FROM y EXCEPT FROM x)) AS only_text`);
    assert.ok(Number(row.rows) > 500, `${channel}: ${row.rows}`);
    assert.deepEqual([row.only_binary, row.only_text].map(Number), [0, 0], channel);
  }
  assert.ok(!(binary.stdout + binary.stderr).includes(key));
  assert.equal(Number((await query(`SELECT count(*) AS n FROM ${table(`${dir}/binary`, 'ticker')}`))[0].n) > 10, true); // on the JSON socket beside it
  assert.match(runSync(['inspect', ...(await query(`SELECT file FROM glob('${dir}/binary/exchange=binance/channel=trades/symbol=BTCUSDT/**/*.parquet')`)).map((r) => r.file)]).stdout, /feed +sbe/);
  await sim.stop();
  remove(dir);
});

test('a refused key is a fault of the configuration: told once, not a reason to connect again', { timeout: 60000 }, async () => {
  const dir = folder('sbe');
  const sim = await simulate(dir, { symbols: 3, rate: 300 });
  const recorder = record(sim, `${dir}/data`, ['--set', 'binance.channels=trades', ...sbe(sim, dir, 'refused'), '--seconds', '10']);
  const { code } = await recorder.exited;
  assert.equal(code, 6, recorder.stdout + recorder.stderr);
  assert.match(recorder.stderr, /status 400.*binance\.api_key_file/);
  assert.ok((await sim.status()).connections < 8, 'a storm of connects');
  const none = record(sim, `${dir}/none`, ['--set', 'binance.channels=trades', '--set', 'binance.feed=sbe', '--seconds', '3'], { env: { MARKET_DATA_BINANCE_API_KEY: '' } });
  assert.equal((await none.exited).code, 2);
  assert.match(none.stderr, /api_key_file.*MARKET_DATA_BINANCE_API_KEY/);
  await sim.stop();
  remove(dir);
});

test('each connection asks for a symbol that is sure to be alive first; a shutdown told as text is obeyed; the key is in no file', { timeout: 60000 }, async () => {
  const dir = folder('sbe');
  const sim = await simulate(dir, { symbols: 12, rate: 600, faults: 'at 4s conn 1 shutdown\n' });
  const recorder = record({ ...sim, symbols: 'ETHUSDT,SOLUSDT,XRPUSDT' }, `${dir}/data`, ['--set', 'binance.channels=trades,incremental_book_L2', '--set', 'binance.streams_per_connection=3',
    '--set', 'journal.keep=1', ...sbe(sim, dir), '--seconds', '9']);
  assert.equal((await recorder.exited).code, 0, recorder.stdout + recorder.stderr);
  assert.match(recorder.stdout, /replaced in time 1,/);
  assert.match(recorder.stdout, /gaps +0;/);
  assert.equal((await sim.status()).violations, 0);
  const lines = runSync(['journal', 'cat', `${dir}/data/journal`]).stdout.split('\n').map((line) => line.split('\t'));
  const first = new Map();
  for (const [, , conn, kind, , payload] of lines) if (kind === 'sent' && !first.has(conn)) first.set(conn, JSON.parse(payload));
  assert.equal(first.size, 3); // two, and one that replaced the first
  for (const request of first.values()) assert.equal(request.params[0], 'btcusdt@trade');
  for (const file of files(`${dir}/data`)) assert.ok(!readFileSync(file).includes(key), file);
  await sim.stop();
  remove(dir);
});
