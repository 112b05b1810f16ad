// book.shadow_check_secs: whole books are held against REST snapshots. Nothing is found where nothing is wrong; a
// level that the simulator falsifies, which no id shows, is found, told, and the book made anew.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { channels, difference, folder, query, record, remove, runSync, simulate, table } from './lib.mjs';

// A slow market: in a fast one a falsified level is soon overwritten by a right one.
const session = async (exchange, faults, seconds, more = [], rate = 20) => {
  const dir = folder('shadow');
  const sim = await simulate(dir, { exchange, symbols: 4, rate, faults, args: ['--limits', 'weight=900000000'] });
  const data = `${dir}/data`;
  const recorder = record(sim, data, ['--set', `${sim.section}.channels=incremental_book_L2`, '--set', 'journal.keep=1',
    '--set', 'journal.segment_bytes=1MiB', ...more, '--seconds', seconds]);
  const { code } = await recorder.exited;
  assert.equal(code, 0, recorder.stdout + recorder.stderr);
  await sim.stop();
  const found = /checks +(\d+) books held against REST, (\d+) differed; (\d+) without/.exec(recorder.stdout);
  const gaps = channels(data).includes('gaps') ? await query(`SELECT kind, from_id, to_id, missing, resolved_by, symbol
    FROM ${table(data, 'gaps')} WHERE channel = 'incremental_book_L2'`) : [];
  return { dir, data, recorder, gaps, counts: found?.slice(1).map(Number) };
};
const on = ['--set', 'book.shadow_check_secs=2'];

for (const exchange of ['binance', 'binance-futures', 'gate-io', 'gate-io-futures']) {
  test(`${exchange}: right books are found right`, { timeout: 60000 }, async () => {
    const { dir, counts, gaps, recorder } = await session(exchange, undefined, 10, on, 300);
    assert.ok(counts?.[0] >= 5, recorder.stdout);
    assert.equal(counts[1], 0, recorder.stderr);
    assert.deepEqual(gaps, []);
    remove(dir);
  });
}

test('kucoin: not checked, and off by default', { timeout: 60000 }, async () => {
  const kucoin = await session('kucoin', undefined, 4, on);
  const off = await session('binance', undefined, 4);
  assert.equal(kucoin.counts, undefined);
  assert.equal(off.counts, undefined);
  remove(kucoin.dir);
  remove(off.dir);
});

for (const exchange of ['binance', 'binance-futures', 'gate-io']) {
  test(`${exchange}: a level that was falsified is found, told, and the book made anew`, { timeout: 60000 }, async () => {
    const { dir, data, recorder, counts, gaps } = await session(exchange, 'every 5 falsify depth\n', 12, on);
    assert.ok(counts[1] > 0, recorder.stdout);
    assert.match(recorder.stderr, /book_differs .*: at update \d+ our book has [\d.]+ at the (bid|ask) [\d.]+, the venue's has [\d.]+; \d+ levels/);
    const told = gaps.filter((gap) => gap.kind === 'sequence' && gap.from_id === null);
    assert.equal(told.length, counts[1], 'a gap row for each');
    assert.ok(told.every((gap) => gap.missing === null && gap.symbol));
    assert.ok(told.some((gap) => gap.resolved_by === 'resync'), 'a new book stands');
    const again = folder('shadow-again'); // a function of the journal
    assert.equal(runSync(['rederive', `${data}/journal`, '-o', again]).code, 0);
    for (const channel of ['gaps', 'incremental_book_L2']) assert.equal(await difference(data, again, channel), 0, channel);
    const without = await session(exchange, 'every 5 falsify depth\n', 6); // control: nothing else sees it
    assert.deepEqual(without.gaps, []);
    for (const each of [dir, again, without.dir]) remove(each);
  });
}
