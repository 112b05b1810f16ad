// Binance USD-M futures: messages in, exact rows out.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { rowsOf } from './binance_futures_rows.mjs';
import { asksOf, bidsOf, byLine, checkMessages, checkOwn, expectedOf, filesOf, land, landed, linesOf, micros, rebuild, recording, restLine, samplesOf, timed } from './golden.mjs';
import { channels, query, remove, table } from './lib.mjs';

const exchange = 'binance-futures';
const { samples, skip } = samplesOf('binance-usdm');
const BAD = 8; // the last lines of our own messages are wrong on purpose

test('our own messages, in every shape of the fact sheet, land as the golden rows say', async () => {
  const { ours, golden } = await checkOwn(exchange, 'binance-futures', { undecodable: BAD });
  for (const [channel, rows] of expectedOf(ours.slice(0, -BAD), rowsOf)) {
    assert.deepEqual(byLine(golden.filter((row) => row.channel === channel).map(({ channel: _, ...row }) => row)), byLine(rows), channel);
  }
});

test('the recorded session lands with exactly its values, and its books are the expected ones', { skip }, async () => {
  const lines = linesOf(samples, 'session.tsv').map((line) => ({ recv: micros(line.slice(0, line.indexOf('\t'))), payload: line.slice(line.indexOf('\t') + 1) }));
  const requests = linesOf(samples, 'rest/requests.tsv').map((line) => line.split('\t'));
  const all = [
    ...lines.map((line, i) => [BigInt(line.recv), recording(exchange, [line])[0], i]),
    ...requests.map(([time, , url, file]) => [BigInt(micros(time)), restLine(exchange, micros(time), url, readFileSync(join(samples, file), 'utf8')), -1]),
  ].sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[2] - b[2]));
  const { dir, out, undecodable } = land(all.map((entry) => entry[1]));
  assert.equal(undecodable, 0);
  for (const [channel, rows] of expectedOf(lines, rowsOf)) {
    assert.deepEqual(byLine(await landed(out, channel, channel === 'incremental_book_L2' ? 'NOT is_snapshot' : 'true')), byLine(rows), channel);
  }
  assert.equal(channels(out).includes('gaps'), false);
  const books = await rebuild(out);
  const expected = JSON.parse(readFileSync(join(samples, 'expected_books.json'), 'utf8'));
  assert.ok(Object.keys(expected).length >= 2);
  const plain = (value) => { const text = String(value); return /e/.test(text) ? Number(value).toFixed(12).replace(/0+$/, '').replace(/\.$/, '') : text; };
  for (const [symbol, want] of Object.entries(expected)) {
    const book = books.get(symbol);
    assert.equal(book.id, BigInt(want.final_update_id), symbol);
    assert.equal(bidsOf(book).length, want.bid_levels, symbol);
    assert.equal(asksOf(book).length, want.ask_levels, symbol);
    const canonical = bidsOf(book).map(([p, q]) => `b ${plain(p)} ${plain(q)}\n`).join('') + asksOf(book).map(([p, q]) => `a ${plain(p)} ${plain(q)}\n`).join('');
    assert.equal(createHash('sha256').update(canonical).digest('hex'), want.canonical_sha256, symbol);
  }
  remove(dir);
});

test('every other recorded message lands with its values', { skip }, async () => {
  const names = filesOf(samples, '.jsonl').filter((file) => !file.includes('expect'));
  assert.ok(names.length >= 6);
  for (const file of names) {
    const lines = timed(linesOf(samples, file).filter((line) => !line.includes('"generated"')));
    const seen = await checkMessages(exchange, lines, rowsOf, { what: file });
    assert.equal(lines.every(({ payload, recv }) => rowsOf(payload, recv).length > 0), true, `${file}: each line is a row`);
    assert.ok(seen.size > 0);
  }
});

test('REST bodies: instruments and open interest', { skip }, async () => {
  const info = readFileSync(join(samples, 'rest/exchangeInfo.json'), 'utf8');
  const { dir, out, undecodable } = land([
    restLine(exchange, '1700000000000000', 'https://x/fapi/v1/exchangeInfo', info),
    restLine(exchange, '1700000001000000', 'https://x/fapi/v1/openInterest?symbol=BTCUSDT', '{"openInterest":"10659.509","symbol":"BTCUSDT","time":1589437530011}'),
  ]);
  assert.equal(undecodable, 0);
  const got = await query(`SELECT symbol, base, quote, type, status, tick_size, lot_size, contract_multiplier, unified_symbol FROM ${table(out, 'instruments')} ORDER BY symbol`);
  const filter = (s, type, key) => Number(s.filters.find((f) => f.filterType === type)[key]);
  const expected = JSON.parse(info).symbols.map((s) => ({ symbol: s.symbol, base: s.baseAsset, quote: s.quoteAsset, type: s.contractType === 'PERPETUAL' ? 'perpetual' : 'future',
    status: s.status, tick_size: filter(s, 'PRICE_FILTER', 'tickSize'), lot_size: filter(s, 'LOT_SIZE', 'stepSize'), contract_multiplier: 1,
    unified_symbol: `${s.baseAsset}/${s.quoteAsset}:${s.quoteAsset}${s.symbol.includes('_') ? `-${s.symbol.split('_')[1]}` : ''}` })).sort((a, b) => (a.symbol < b.symbol ? -1 : 1));
  assert.ok(expected.length > 20);
  assert.deepEqual(got, expected);
  const [interest] = await landed(out, 'derivative_ticker');
  assert.equal(interest.open_interest, 10659.509);
  assert.equal(interest.timestamp, '1589437530011000');
  assert.equal(interest.symbol, 'BTCUSDT');
  remove(dir);
});

// It keeps one ticker and says all of it again with each message; our rows are messages, and are put together here.
test('what another tool makes of the 2019 to 2021 messages agrees', { skip }, async () => {
  const expected = linesOf(samples, 'mixed-2019-2021.expect.jsonl').flatMap((line) => JSON.parse(line).expect);
  const lines = linesOf(samples, 'mixed-2019-2021.jsonl').map((payload, i) => {
    const message = JSON.parse(payload);
    const recv = `156729600${i}275000`;
    return message.generated ? restLine(exchange, recv, `https://x/fapi/v1/openInterest?symbol=${message.data.symbol}`, JSON.stringify(message.data)) : recording(exchange, [{ payload, recv }])[0];
  });
  const { dir, out, undecodable } = land(lines);
  assert.equal(undecodable, 0);
  const time = (text) => (text === null ? null : String(Date.parse(text) * 1000));
  const of = (type) => expected.filter((one) => one.type === type);
  const trades = (await landed(out, 'trades')).filter((row) => row.flags === 0); // it leaves aggregated and insurance fund's rows out
  assert.deepEqual(trades.map((row) => [row.symbol, row.trade_id, row.price, row.amount, row.side, row.timestamp]),
    of('trade').map((one) => [one.symbol, one.id, one.price, one.amount, one.side, time(one.timestamp)]));
  assert.deepEqual((await landed(out, 'liquidations')).map((row) => [row.symbol, row.price, row.amount, row.side, row.timestamp]),
    of('liquidation').map((one) => [one.symbol, one.price, one.amount, one.side, time(one.timestamp)]));
  const put = {};
  const [ticker] = await landed(out, 'ticker');
  const steps = [[ticker.last_price, null, null, null, null]];
  for (const row of await landed(out, 'derivative_ticker')) {
    for (const key of ['mark_price', 'funding_rate', 'funding_timestamp', 'open_interest']) if (row[key] !== null) put[key] = row[key];
    steps.push([ticker.last_price, put.mark_price, put.funding_rate, put.funding_timestamp, put.open_interest ?? null]);
  }
  assert.deepEqual(steps, of('derivative_ticker').map((one) => [one.lastPrice, one.markPrice, one.fundingRate, time(one.fundingTimestamp), one.openInterest]));
  remove(dir);
});
