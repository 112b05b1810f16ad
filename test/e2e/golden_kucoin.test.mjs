// KuCoin, spot and futures: messages in, exact rows out.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { asksOf, bidsOf, byLine, checkMessages, checkOwn, expectedOf, filesOf, land, linesOf, micros, rebuild, recording, restLine, root, samplesOf, timed } from './golden.mjs';
import { rowsOf } from './kucoin_rows.mjs';
import { channels, query, remove, table } from './lib.mjs';

// Rows as received: without our own books between them.
const raw = { settings: ['--set', 'book.enabled=false'] };
const hex = (text) => Buffer.from(text).toString('hex');

for (const [exchange, name, bad] of [['kucoin', 'kucoin-spot', 9], ['kucoin-futures', 'kucoin-futures', 4]]) {
  const { samples, skip } = samplesOf(name);
  const rows = rowsOf(exchange === 'kucoin');

  test(`${exchange}: our own messages, in every shape of the fact sheet, land as the golden rows say`, async () => {
    const { ours, golden } = await checkOwn(exchange, exchange, { undecodable: bad, ...raw });
    for (const [channel, expected] of expectedOf(ours.slice(0, -bad), rows)) {
      if (expected.length > 0) assert.deepEqual(byLine(golden.filter((row) => row.channel === channel).map(({ channel: _, ...row }) => row)), byLine(expected), channel);
    }
  });

  test(`${exchange}: every recorded message lands with its values`, { skip }, async () => {
    const names = filesOf(samples, '.jsonl').filter((file) => !/^rest-|^session|^client/.test(file));
    assert.ok(names.length >= 10);
    for (const file of names) {
      for (const line of timed(linesOf(samples, file))) {
        await checkMessages(exchange, [line], rows, { what: `${file}: ${line.payload.slice(0, 200)}`, ...raw });
      }
    }
  });

  test(`${exchange}: what comes in binary frames is the same JSON`, { skip }, async () => {
    const unhex = (payload, recv) => rows(Buffer.from(payload, 'hex').toString(), recv);
    const names = filesOf(samples, '.jsonl').filter((file) => file.startsWith('uta-'));
    assert.ok(names.length >= 3);
    for (const file of names) {
      for (const line of timed(linesOf(samples, file).map(hex))) {
        await checkMessages(exchange, [line], unhex, { what: file, options: { binary: true }, ...raw });
      }
    }
  });
}

const spot = samplesOf('kucoin-spot');
const futures = samplesOf('kucoin-futures');

test('kucoin: the recorded session gives every expected best bid and ask, and the expected books', { skip: spot.skip }, async () => {
  const times = linesOf(spot.samples, 'session-2021-04-25.recv').map(micros);
  const lines = linesOf(spot.samples, 'session-2021-04-25.jsonl').map((payload, i) => [BigInt(times[i]), 1, recording('kucoin', [{ payload, recv: times[i] }])[0]]);
  const bodies = linesOf(spot.samples, 'rest-level2-snapshot-2021-04-25.recv').map((line) => line.split(' ')).map(([symbol, time]) => [BigInt(micros(time)), 0,
    restLine('kucoin', micros(time), `https://x/api/v3/market/orderbook/level2?symbol=${symbol}`, readFileSync(join(spot.samples, `rest-level2-snapshot-${symbol}-2021-04-25.json`), 'utf8'))]);
  const all = [...lines, ...bodies].sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[1] - b[1]));
  const last = Number(all.at(-1)[0] / 1000000n) + 1;
  const ticks = [1, 2, 3, 4].map((s) => `${last + s}\t-\t0\ttick\t\t`);
  const { dir, out, undecodable } = land([...all.map((entry) => entry[2]), ...ticks]);
  assert.equal(undecodable, 0);

  const steps = new Map(); // symbol -> [id, bid, ask] after each message
  const books = await rebuild(out, (symbol, book) => {
    if (book.seen) steps.set(symbol, [...(steps.get(symbol) ?? []), [book.id, bidsOf(book)[0], asksOf(book)[0]]]);
  });
  const quotes = linesOf(spot.samples, 'session-2021-04-25.expect-bbo.jsonl').map((line) => JSON.parse(line));
  assert.equal(quotes.length, 190);
  for (const want of quotes) { // a change of price 0 makes no row: the book stands as it was
    const step = steps.get(want.symbol).findLast(([id]) => id <= BigInt(want.sequence));
    assert.ok(step, `${want.symbol} ${want.sequence}: no book yet`);
    assert.deepEqual(step.slice(1), [[want.bid, want.bid_size], [want.ask, want.ask_size]].map((level) => level.map(Number)), `${want.symbol} ${want.sequence}`);
  }
  const finals = linesOf(spot.samples, 'session-2021-04-25.expect-final.jsonl').map((line) => JSON.parse(line));
  assert.equal(finals.length, 5);
  for (const want of finals) {
    const book = books.get(want.symbol);
    assert.equal(bidsOf(book).length, want.bid_levels, want.symbol);
    assert.equal(asksOf(book).length, want.ask_levels, want.symbol);
    assert.deepEqual(bidsOf(book).slice(0, 10), want.bids10.map((level) => level.map(Number)), want.symbol);
    assert.deepEqual(asksOf(book).slice(0, 10), want.asks10.map((level) => level.map(Number)), want.symbol);
  }
  if (channels(out).includes('gaps')) {
    assert.deepEqual(await query(`SELECT * FROM ${table(out, 'gaps')} WHERE kind = 'sequence'`), []);
  }
  remove(dir);
});

test('kucoin: what else the session holds lands with its values', { skip: spot.skip }, async () => {
  const lines = linesOf(spot.samples, 'session-2021-04-25.jsonl').filter((line) => !line.includes('/market/level2:'));
  await checkMessages('kucoin', timed(lines), rowsOf(true), raw);
});

test('kucoin: a unified book begins with its snapshot and stands where its deltas leave it', async () => {
  const payloads = linesOf(root, 'test/data/kucoin/messages.jsonl').filter((line) => line.includes('"obu.SPOT"') && /"dp":"increment/.test(line) && !line.includes('"C":4,'));
  const sent = '1699999999.000000\tkucoin\t1\tsent\t\t{"id":"1","action":"subscribe","channel":"obu","tradeType":"SPOT","symbol":"SOL-USDT","depth":"increment@10ms","rpiFilter":0}';
  const { dir, out, undecodable } = land([sent, ...recording('kucoin', timed(payloads.map(hex)), { binary: true })]);
  assert.equal(undecodable, 0);
  const book = (await rebuild(out)).get('SOL-USDT');
  assert.equal(book.id, 25984468424n);
  assert.deepEqual(asksOf(book), [[90701.2, 0.5]]);
  assert.deepEqual(bidsOf(book), [[90700, 2], [90699.5, 0.01]]);
  assert.ok(!channels(out).includes('gaps'));
  remove(dir);
});

test('REST books land as snapshots once the stream stands at them', { skip: spot.skip || futures.skip }, async () => {
  for (const [exchange, dir, file, url] of [
    ['kucoin', spot.samples, 'rest-level2-snapshot.jsonl', 'https://x/api/v3/market/orderbook/level2?symbol=BTC-USDT'],
    ['kucoin', spot.samples, 'rest-level2-part-2024.json', 'https://x/api/v1/market/orderbook/level2_100?symbol=BTC-USDT'],
    ['kucoin-futures', futures.samples, 'rest-level2-snapshot.jsonl', 'https://x/api/v1/level2/snapshot?symbol=XBTUSDTM'],
    ['kucoin-futures', futures.samples, 'rest-level2-snapshot-2024.json', 'https://x/api/v1/level2/snapshot?symbol=XBTUSDM'],
  ]) {
    const body = readFileSync(join(dir, file), 'utf8');
    const { data } = JSON.parse(body.replace(/"(sequence|ts|time)":(\d+)/g, '"$1":"$2"'));
    const symbol = url.slice(url.indexOf('=') + 1);
    const topic = exchange === 'kucoin' ? '/market/level2:' : '/contractMarket/level2:';
    const lines = [
      `1700000000.000000\t${exchange}\t1\tsent\t\t{"id":"1","type":"subscribe","topic":"${topic}${symbol}","privateChannel":false,"response":true}`,
      restLine(exchange, '1700000001000000', url, body),
      ...[2, 3, 4, 5, 6].map((s) => `${1700000000 + s}\t-\t0\ttick\t\t`),
    ];
    const { dir: folder, out, undecodable } = land(lines);
    assert.equal(undecodable, 0, file);
    const rows = await query(`SELECT symbol, is_snapshot, side, price, amount, last_update_id::VARCHAR AS id FROM ${table(out, 'incremental_book_L2')}`);
    const expected = [...data.bids.map((l) => ['bid', l]), ...data.asks.map((l) => ['ask', l])]
      .map(([side, [price, amount]]) => ({ symbol, is_snapshot: true, side, price: Number(price), amount: Number(amount), id: data.sequence }));
    assert.deepEqual(byLine(rows), byLine(expected), file);
    remove(folder);
  }
});

test('an error of the venue that comes with HTTP status 200 is told, and gives no rows', () => {
  const { dir, undecodable } = land([restLine('kucoin', '1700000000000000', 'https://x/api/v2/symbols', '{"code":"400100","msg":"symbol not exists","data":[{"symbol":"A-B"}]}')]);
  assert.equal(undecodable, 1);
  remove(dir);
});

test('instruments: increments, multiplier, status', { skip: spot.skip || futures.skip }, async () => {
  const symbols = readFileSync(join(spot.samples, 'rest-symbols-v1-2021-04-25.json'), 'utf8');
  const symbol = readFileSync(join(spot.samples, 'rest-symbols-v2-2024.json'), 'utf8');
  const contracts = readFileSync(join(futures.samples, 'rest-contracts-active-2024.json'), 'utf8');
  const made = '{"code":"200000","data":[' +
    '{"symbol":"XBTUSDM","type":"FFWCSX","baseCurrency":"XBT","quoteCurrency":"USD","settleCurrency":"XBT","lotSize":1,"tickSize":0.1,"multiplier":-1.0,"isInverse":true,"status":"Open","expireDate":null},' +
    '{"symbol":"XBTMZ26","type":"FFICSX","baseCurrency":"XBT","quoteCurrency":"USD","settleCurrency":"XBT","lotSize":1,"tickSize":1.0E-1,"multiplier":-1,"isInverse":true,"status":"Paused","expireDate":1798185600000}]}';
  const { dir, out, undecodable } = land([
    restLine('kucoin', '1700000000000000', 'https://x/api/v1/symbols', symbols),
    restLine('kucoin', '1700000001000000', 'https://x/api/v2/symbols', symbol),
    restLine('kucoin-futures', '1700000002000000', 'https://x/api/v1/contracts/active', contracts),
    restLine('kucoin-futures', '1700000003000000', 'https://x/api/v1/contracts/active', made),
  ]);
  assert.equal(undecodable, 0);
  const got = await query(`SELECT exchange, symbol, base, quote, type, status, tick_size, lot_size, contract_multiplier, unified_symbol FROM ${table(out, 'instruments')}`);
  const expected = [
    ...[...JSON.parse(symbols).data, ...JSON.parse(symbol).data].map((s) => ({ exchange: 'kucoin', symbol: s.symbol, base: s.baseCurrency, quote: s.quoteCurrency, type: 'spot',
      status: s.enableTrading ? 'enabled' : 'disabled', tick_size: Number(s.priceIncrement), lot_size: Number(s.baseIncrement), contract_multiplier: null, unified_symbol: `${s.baseCurrency}/${s.quoteCurrency}` })),
    { exchange: 'kucoin-futures', symbol: 'XBTUSDTM', base: 'XBT', quote: 'USDT', type: 'perpetual', status: 'Open', tick_size: 0.1, lot_size: 1, contract_multiplier: 0.001, unified_symbol: 'BTC/USDT:USDT' },
    { exchange: 'kucoin-futures', symbol: 'XBTUSDM', base: 'XBT', quote: 'USD', type: 'inverse_perpetual', status: 'Open', tick_size: 0.1, lot_size: 1, contract_multiplier: 1, unified_symbol: 'BTC/USD:BTC' },
    { exchange: 'kucoin-futures', symbol: 'XBTMZ26', base: 'XBT', quote: 'USD', type: 'inverse_future', status: 'Paused', tick_size: 0.1, lot_size: 1, contract_multiplier: 1, unified_symbol: 'BTC/USD:BTC-261225' },
  ];
  assert.deepEqual(byLine(got), byLine(expected));
  remove(dir);
});
