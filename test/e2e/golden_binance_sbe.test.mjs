// Binance spot in binary form (SBE): frames in, exact rows out. What each frame says is written beside it.
import assert from 'node:assert/strict';
import { join } from 'node:path';
import { test } from 'node:test';
import { byLine, land, landed, linesOf, recording, root, samplesOf, timed } from './golden.mjs';
import { parse } from './binance_rows.mjs';
import { query, remove, table } from './lib.mjs';

const { samples, skip } = samplesOf('binance-spot-sbe');
const number = (text) => Number(text);

function rowsOf(expect, recv) {
  const common = (time) => ({ exchange: 'binance', symbol: expect.symbol, timestamp: String(time), local_timestamp: recv });
  if (expect.template === '10000') {
    return { channel: 'trades', rows: expect.trades.map((t) => ({ ...common(expect.transactTime), id: null, trade_id: String(t.id), side: t.isBuyerMaker === true || t.isBuyerMaker === '1' ? 'sell' : 'buy',
      price: number(t.price), amount: number(t.qty), amount_base: null, flags: 0 })) };
  }
  if (expect.template === '10001') {
    return { channel: 'book_ticker', rows: [{ ...common(expect.eventTime), update_id: String(expect.bookUpdateId), ask_amount: number(expect.ask[1]), ask_price: number(expect.ask[0]),
      bid_price: number(expect.bid[0]), bid_amount: number(expect.bid[1]) }] };
  }
  if (expect.template === '10002') {
    const row = { ...common(expect.eventTime), last_update_id: String(expect.bookUpdateId) };
    for (let i = 0; i < 20; i++) {
      for (const [side, levels] of [['asks', expect.asks], ['bids', expect.bids]]) {
        row[`${side}_${i}_price`] = levels[i] ? number(levels[i][0]) : null;
        row[`${side}_${i}_amount`] = levels[i] ? number(levels[i][1]) : null;
      }
    }
    return { channel: 'book_snapshot_20', rows: [row] };
  }
  const row = (side) => ([price, amount]) => ({ ...common(expect.eventTime), is_snapshot: false, side, price: number(price), amount: number(amount),
    first_update_id: String(expect.firstBookUpdateId), last_update_id: String(expect.lastBookUpdateId), prev_update_id: null });
  return { channel: 'incremental_book_L2', rows: [...expect.bids.map(row('bid')), ...expect.asks.map(row('ask'))] };
}

async function check(frames, what) {
  const lines = timed(frames.map((frame) => frame.hex));
  const { dir, out, undecodable } = land(recording('binance', lines, { binary: true }), ['--set', 'book.enabled=false', '--set', 'binance.feed=sbe']);
  const good = frames.map((frame, i) => ({ ...frame, recv: lines[i].recv })).filter((frame) => !frame.expect.error);
  assert.equal(undecodable, frames.length - good.length, what);
  const expected = new Map();
  for (const frame of good) {
    const { channel, rows } = rowsOf(frame.expect, frame.recv);
    expected.set(channel, [...(expected.get(channel) ?? []), ...rows]);
  }
  for (const [channel, rows] of expected) {
    if (rows.length > 0) assert.deepEqual(byLine(await landed(out, channel)), byLine(rows), `${what}: ${channel}`);
  }
  return { dir, out, expected };
}

test('frames of our own, in every shape: several trades, longer blocks, other exponents, refusals', async () => {
  const frames = linesOf(root, 'test/data/binance-sbe/frames.jsonl').map(parse);
  assert.ok(frames.length >= 12);
  const { dir, out, expected } = await check(frames, 'frames.jsonl');
  assert.deepEqual([...expected.keys()].sort(), ['book_snapshot_20', 'book_ticker', 'incremental_book_L2', 'trades']);
  const feeds = await query(`SELECT DISTINCT decode(value) AS feed FROM parquet_kv_metadata('${out}/exchange=binance/channel=trades/**/*.parquet') WHERE decode(key) = 'feed'`);
  assert.deepEqual(feeds, [{ feed: 'sbe' }]);
  const reasons = await query(`SELECT count(*) AS n FROM ${table(out, 'gaps')} WHERE kind = 'decode'`);
  assert.ok(Number(reasons[0].n) >= 5); // one row a reason
  remove(dir);
});

test('every constructed frame of the samples lands with its values', { skip }, async () => {
  const frames = linesOf(samples, 'constructed.jsonl').map(parse);
  assert.ok(frames.length >= 41);
  for (const frame of frames) { // each alone: several say the same trades again, which would be duplicates
    const { dir } = await check([frame], frame.name);
    remove(dir);
  }
});

test('the captured head of a live frame reads as its decoder said', { skip }, async () => {
  for (const line of linesOf(samples, 'captured-fragments.jsonl')) {
    const { hex, expect, full_payload_bytes: bytes } = parse(line);
    // the missing end, made up: the bid's high bytes are zero, then bidQty, askPrice, askQty and BTCUSDT
    const i64 = (n) => { const b = Buffer.alloc(8); b.writeBigInt64LE(BigInt(n)); return b.toString('hex'); };
    const whole = `${hex}0000${i64(100000000)}${i64(12346740000000)}${i64(200000000)}07${Buffer.from('BTCUSDT').toString('hex')}`;
    assert.equal(whole.length, Number(bytes) * 2);
    const { dir, out, undecodable } = land(recording('binance', timed([whole]), { binary: true }));
    assert.equal(undecodable, 0);
    const [row] = await landed(out, 'book_ticker');
    assert.equal(row.timestamp, String(expect.eventTime));
    assert.equal(row.update_id, String(expect.bookUpdateId));
    assert.equal(row.bid_price, 123467.39);
    assert.equal(row.symbol, 'BTCUSDT');
    remove(dir);
  }
});
