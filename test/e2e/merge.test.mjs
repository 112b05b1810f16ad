// merge: two recorders of one market, each with losses of its own, one of them later. What comes out is held
// against both folders by DuckDB, against the simulator's market by its oracle, and proves itself.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { before, test } from 'node:test';
import { build, files, folder, query, record, remove, runSync, simulate, sleep, table } from './lib.mjs';

const dir = folder('merge');
const venues = ['binance', 'binance-futures', 'kucoin', 'gate-io'];
const faults = { a: 'every 13 drop depth\nevery 50 drop trade\nat 2500ms reset\n', b: 'every 11 drop depth\nevery 35 drop trade\nevery 77 drop aggTrade\nat 3700ms reset\n' };
const market = { symbols: 4, rate: 300, seed: 11 };
const [a, b, out] = ['a', 'b', 'out'].map((name) => `${dir}/${name}`);

async function start(name) {
  const sims = await Promise.all(venues.map((exchange) => {
    mkdirSync(`${dir}/sim-${name}-${exchange}`);
    return simulate(`${dir}/sim-${name}-${exchange}`, { ...market, exchange, faults: faults[name] });
  }));
  const ca = `${dir}/ca-${name}.pem`;
  writeFileSync(ca, sims.map((sim) => readFileSync(sim.ca, 'utf8')).join(''));
  const args = sims.slice(1).flatMap((sim) => ['--set', `${sim.section}.symbols=${sim.symbols}`, ...sim.settings]);
  return { sims, record: (more) => record(sims[0], `${dir}/${name}`, [...args, '--set', `net.ca_file=${ca}`, '--set', `recorder.id=rec-${name}`,
    '--set', 'backfill.enabled=false', '--set', 'binance.channels=trades,agg_trades,book_ticker,incremental_book_L2,ticker', ...more]) };
}

before(async () => {
  const [first, second] = [await start('a'), await start('b')];
  const recorderA = first.record(['--set', 'output.roll_secs=2', '--seconds', 6]);
  await sleep(1500);
  const recorderB = second.record(['--seconds', 6]); // begins and ends later
  for (const recorder of [recorderA, recorderB]) {
    const { code } = await recorder.exited;
    assert.equal(code, 0, recorder.stdout + recorder.stderr);
  }
  await Promise.all([...first.sims, ...second.sims].map((sim) => sim.stop()));
  const merged = runSync(['merge', a, b, '-o', out]);
  assert.equal(merged.code, 0, merged.stderr);
}, { timeout: 90000 });

const verify = (root) => JSON.parse(runSync(['verify', root, '--json']).stdout);
const one = async (sql) => Number(Object.values((await query(sql))[0])[0]);
const missing = (report, exchange, channel) => report.streams.filter((s) => s.exchange === exchange && s.channel === channel).reduce((n, s) => n + s.missing_ids, 0);

test('what both missed is a gap row, and nothing else is missing', () => {
  const [ofA, ofB, merged] = [a, b, out].map(verify);
  for (const [name, report] of Object.entries({ ofA, ofB, merged })) assert.deepEqual(report.findings, [], name);
  for (const exchange of venues) {
    assert.ok(missing(ofA, exchange, 'incremental_book_L2') > 0, exchange);
    assert.ok(missing(ofB, exchange, 'incremental_book_L2') > 0, exchange);
    assert.ok(missing(merged, exchange, 'incremental_book_L2') < missing(ofA, exchange, 'incremental_book_L2') + missing(ofB, exchange, 'incremental_book_L2'), exchange);
  }
});

test('trades: every id that either has, once, as it was; ids in neither are the gap rows', async () => {
  const columns = 'exchange, symbol, timestamp, trade_id, id, side, price, amount, flags';
  const rows = (root) => `SELECT ${columns} FROM ${table(root, 'trades')} WHERE trade_id IS NOT NULL`;
  assert.ok(await one(`SELECT count(*) FROM (${rows(out)} EXCEPT ${rows(a)})`) > 20, 'nothing came from b');
  assert.ok(await one(`SELECT count(*) FROM (${rows(out)} EXCEPT ${rows(b)})`) > 20, 'nothing came from a');
  assert.equal(await one(`SELECT count(*) FROM ((${rows(a)} UNION ${rows(b)}) EXCEPT ALL ${rows(out)})`), 0);
  assert.equal(await one(`SELECT count(*) FROM (${rows(out)} EXCEPT ALL (${rows(a)} UNION ${rows(b)}))`), 0);
  const holes = await one(`SELECT coalesce(sum(last - first + 1 - n), 0) FROM (SELECT exchange, symbol, flags & 1, min(trade_id) AS first, max(trade_id) AS last, count(*) AS n
    FROM ${table(out, 'trades').replace('exchange=*', 'exchange=binance*')} GROUP BY ALL)`);
  const told = await one(`SELECT coalesce(sum(missing), 0) FROM ${table(out, 'gaps').replace('exchange=*', 'exchange=binance*')} WHERE channel = 'trades' AND from_id IS NOT NULL`);
  assert.equal(told, holes);
});

test('depth: whole messages of either, and the market\'s own books', async () => {
  const messages = (root) => `SELECT exchange, symbol, first_update_id, last_update_id, prev_update_id, list(struct_pack(side, price, amount) ORDER BY side, price) AS levels
    FROM ${table(root, 'incremental_book_L2')} WHERE NOT is_snapshot GROUP BY ALL`;
  assert.equal(await one(`SELECT count(*) FROM (${messages(out)} EXCEPT (${messages(a)} UNION ${messages(b)}))`), 0);
  assert.ok(await one(`SELECT count(*) FROM (${messages(out)} EXCEPT ${messages(a)})`) > 10);
  // and none that either has is left out, but what a book of the other has passed over
  const left = await query(`SELECT exchange, count(*) AS n FROM ((${messages(a)} UNION ${messages(b)}) EXCEPT ${messages(out)}) GROUP BY ALL`);
  const all = await one(`SELECT count(*) FROM (${messages(out)})`);
  assert.ok(left.reduce((n, row) => n + Number(row.n), 0) < all / 100, JSON.stringify(left));
  const rows = await query(`SELECT symbol, is_snapshot, side, price, amount, first_update_id, last_update_id FROM ${table(out, 'incremental_book_L2')
    .replace('exchange=*', 'exchange=binance').replace('hive_partitioning = false', 'hive_partitioning = false, file_row_number = true')} ORDER BY symbol, local_seq, file_row_number`);
  const csv = ['symbol,is_snapshot,side,price,amount,first_update_id,last_update_id',
    ...rows.map((r) => [r.symbol, r.is_snapshot, r.side, r.price, r.amount, r.first_update_id ?? '', r.last_update_id].join(','))].join('\n');
  const oracle = (input) => spawnSync(join(build, 'test/e2e/oracle'), ['--seed', '11', '--symbols', '4', '--rate', '300', 'depth', '-'], { input, encoding: 'utf8', maxBuffer: 1 << 26 });
  const checked = oracle(csv);
  assert.equal(checked.status, 0, checked.stdout.slice(0, 2000) + checked.stderr);
  // control: a delta with one level altered
  const at = rows.findLastIndex((r) => !r.is_snapshot && r.price > 0);
  assert.equal(oracle(csv.split('\n').with(at + 1, [rows[at].symbol, false, rows[at].side, rows[at].price, 123.5, rows[at].first_update_id, rows[at].last_update_id].join(',')).join('\n')).status, 1);
  for (const exchange of venues) {
    const [{ symbol }] = await query(`SELECT symbol FROM ${table(out, 'incremental_book_L2').replace('exchange=*', `exchange=${exchange}`)} LIMIT 1`);
    const book = (root) => JSON.parse(runSync(['book', root, symbol, '--exchange', exchange, '--at', '2100-01-01', '--json']).stdout);
    const [ofB, merged] = [book(b), book(out)]; // b ends later: the last book is its own
    assert.deepEqual([merged.update_id, merged.whole], [ofB.update_id, ofB.whole], exchange);
    if (ofB.whole) assert.deepEqual([merged.bids, merged.asks], [ofB.bids, ofB.asks], exchange);
  }
});

test('channels without ids: a\'s rows all, and b\'s where a was not there', async () => {
  const rows = (root) => `SELECT * EXCLUDE (local_timestamp, conn_id, local_seq) FROM ${table(root, 'ticker')}`;
  assert.equal(await one(`SELECT count(*) FROM (${rows(a)} EXCEPT ALL ${rows(out)})`), 0);
  assert.equal(await one(`SELECT count(*) FROM (${rows(out)} EXCEPT ALL (${rows(a)} UNION ALL ${rows(b)}))`), 0);
  assert.ok(await one(`SELECT count(*) FROM ${table(out, 'ticker')} WHERE conn_id < 0`) > 0);
  assert.equal(await one(`SELECT count(*) FROM (SELECT symbol, timestamp, count(*) AS n FROM ${table(out, 'ticker')} GROUP BY ALL HAVING n > 1)`), 0);
});

test('the same again, byte by byte; one recorder twice, a used folder and no folder are refused', () => {
  const again = `${dir}/again`;
  assert.equal(runSync(['merge', a, b, '-o', again]).code, 0);
  const hashes = (root) => files(root).filter((f) => !f.includes('/spool/')).map((f) => [f.slice(root.length), createHash('sha256').update(readFileSync(f)).digest('hex')]);
  assert.deepEqual(hashes(again), hashes(out));
  for (const [args, words] of [[[a, a, '-o', `${dir}/x1`], /both hold files of recorder rec-a/], [[a, b, '-o', out], /not empty: the result wants a folder of its own/],
    [[a, `${dir}/none`, '-o', `${dir}/x2`], /no such folder/], [[a, b, '-o', `${dir}/x3`, '--set', 'recorder.id=rec-b'], /give the result another name/], [[a, b], /usage: market-data merge/]]) {
    const run = runSync(['merge', ...args]);
    assert.equal(run.code, 2, args.join(' '));
    assert.match(run.stderr, words);
  }
  remove(dir);
});
