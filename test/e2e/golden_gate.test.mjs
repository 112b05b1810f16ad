// Gate, spot and USDT futures: messages in, exact rows out.
import assert from 'node:assert/strict';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';
import { rowsOf } from './gate_rows.mjs';
import { asksOf, bidsOf, byLine, checkMessages, checkOwn, expectedOf, filesOf, land, landed, linesOf, micros, rebuild, recording, restLine, samplesOf, timed } from './golden.mjs';
import { channels, query, remove, table } from './lib.mjs';

// Rows as received: without our own books between them.
const raw = { settings: ['--set', 'book.enabled=false'] };

for (const [exchange, name, date, bad] of [['gate-io', 'gate-spot', '20210422', 6], ['gate-io-futures', 'gate-futures', '20230524', 6]]) {
  const spot = exchange === 'gate-io';
  const { samples, skip } = samplesOf(name);
  const rows = rowsOf(spot);

  test(`${exchange}: our own messages, in every shape of the fact sheet, land as the golden rows say`, async () => {
    const { ours, golden } = await checkOwn(exchange, exchange, { undecodable: bad, ...raw });
    for (const [channel, expected] of expectedOf(ours.slice(0, -bad), rows)) {
      if (expected.length > 0) assert.deepEqual(byLine(golden.filter((row) => row.channel === channel).map(({ channel: _, ...row }) => row)), byLine(expected), channel);
    }
  });

  test(`${exchange}: every recorded message lands with its values`, { skip }, async () => {
    const names = filesOf(samples, '.jsonl').filter((file) => !file.startsWith('rest-') && !/normalised|requests/.test(file));
    assert.ok(names.length >= 10);
    for (const file of names) {
      // the obu samples of one source hold the inner object alone: wrapped as the venue sends it
      const lines = linesOf(samples, file).map((line) => (line.startsWith('{"t":') ? `{"channel":"${spot ? 'spot' : 'futures'}.obu","event":"update","result":${line}}` : line));
      for (const line of timed(lines)) await checkMessages(exchange, [line], rows, { what: `${file}: ${line.payload.slice(0, 200)}`, ...raw });
    }
  });

  test(`${exchange}: the recorded session gives the expected books`, { skip }, async () => {
    const lines = linesOf(samples, `replay-${date}.tsv`).map((line) => line.split('\t'));
    const bodies = linesOf(samples, `rest-order_book-${date}.tsv`).map((line) => line.split('\t'));
    const all = [
      ...lines.map(([time, way, payload], i) => [Number(time), i, way === '>' ? recording(exchange, [{ payload, recv: micros(time) }])[0].replace('\trecv\t', '\tsent\t') : recording(exchange, [{ payload, recv: micros(time) }])[0]]),
      ...bodies.map(([time, url, body]) => [Number(time), -1, restLine(exchange, micros(time), `https://x/api/v4${url}`, body)]),
    ].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const last = Math.ceil(Number(all.at(-1)[0]));
    // time goes on for a while: a book that nobody changes any more stands at its snapshot
    const ticks = [1, 2, 3, 4].map((s) => `${last + s}\t-\t0\ttick\t\t`);
    const { dir, out, undecodable } = land([...all.map((entry) => entry[2]), ...ticks]);
    assert.equal(undecodable, 0);
    const books = await rebuild(out);
    const expected = JSON.parse(readFileSync(join(samples, `expected-books-${date}.json`), 'utf8'));
    assert.ok(Object.keys(expected).length >= 3);
    for (const [symbol, want] of Object.entries(expected)) {
      const book = books.get(symbol);
      assert.ok(book?.seen, `${symbol}: no snapshot`);
      assert.equal(book.id, BigInt(want.final_id), symbol);
      assert.equal(bidsOf(book).length, want.bid_levels, symbol);
      assert.equal(asksOf(book).length, want.ask_levels, symbol);
      assert.deepEqual(bidsOf(book).slice(0, want.best_bids.length), want.best_bids.map((l) => l.map(Number)), symbol);
      assert.deepEqual(asksOf(book).slice(0, want.best_asks.length), want.best_asks.map((l) => l.map(Number)), symbol);
    }
    if (channels(out).includes('gaps')) {
      const gaps = await query(`SELECT * FROM ${table(out, 'gaps')} WHERE kind = 'sequence'`);
      assert.deepEqual(gaps, []);
    }
    remove(dir);
  });

  test(`${exchange}: what another tool makes of the messages agrees`, { skip }, async () => {
    const cases = linesOf(samples, 'normalised-cases.jsonl').map((line) => ({ ...JSON.parse(line), text: line }));
    let compared = 0;
    for (const one of cases) {
      const payload = /"message":(\{.*\}),"expected":/.exec(one.text)[1];
      const { dir, out } = land(recording(exchange, timed([payload])), raw.settings);
      for (const want of one.expected) {
        if (want.type === 'trade') {
          const row = (await landed(out, 'trades')).find((r) => r.trade_id === want.id);
          assert.equal(row.price, want.price);
          assert.equal(row.amount, want.amount);
          assert.equal(row.side, want.side);
          assert.equal(BigInt(row.timestamp) / 1000n, BigInt(Date.parse(want.timestamp)), one.case);
          compared++;
        } else if (want.type === 'book_ticker') {
          const [row] = await landed(out, 'book_ticker');
          assert.deepEqual([row.ask_price, row.bid_price].map((v) => v ?? null), [want.askPrice ?? null, want.bidPrice ?? null], one.case);
          compared++;
        } else if (want.type === 'book_change' && want.bids.length + want.asks.length > 0) {
          const table = channels(out).find((c) => c === 'incremental_book_L2');
          const rows = await landed(out, table);
          const wanted = [...want.bids.map((l) => ['bid', l.price, l.amount]), ...want.asks.map((l) => ['ask', l.price, l.amount])];
          assert.deepEqual(rows.map((r) => [r.side, r.price, r.amount]).sort(), wanted.sort(), one.case);
          assert.equal(rows[0].is_snapshot, want.isSnapshot, one.case);
          compared++;
        } else if (want.type === 'derivative_ticker') {
          const [row] = await landed(out, 'derivative_ticker');
          assert.deepEqual([row.mark_price, row.index_price, row.last_price, row.funding_rate, row.open_interest],
            [want.markPrice, want.indexPrice, want.lastPrice, want.fundingRate, want.openInterest], one.case);
          compared++;
        }
      }
      remove(dir);
    }
    assert.equal(compared, cases.flatMap((one) => one.expected).length);
  });
}

test('instruments: precision, multiplier, status', { skip: samplesOf('gate-spot').skip }, async () => {
  const pairs = readFileSync(join(samplesOf('gate-spot').samples, 'rest-currency_pairs-20210422.json'), 'utf8');
  const contracts = readFileSync(join(samplesOf('gate-futures').samples, 'rest-contracts-20230524.json'), 'utf8');
  const { dir, out, undecodable } = land([
    restLine('gate-io', '1700000000000000', 'https://x/api/v4/spot/currency_pairs', pairs),
    restLine('gate-io-futures', '1700000001000000', 'https://x/api/v4/futures/usdt/contracts', contracts),
  ]);
  assert.equal(undecodable, 0);
  const got = await query(`SELECT exchange, symbol, base, quote, type, status, tick_size, lot_size, contract_multiplier, unified_symbol FROM ${table(out, 'instruments')} ORDER BY exchange, symbol`);
  const expected = [
    ...JSON.parse(pairs).map((p) => ({ exchange: 'gate-io', symbol: p.id, base: p.base, quote: p.quote, type: 'spot', status: p.trade_status, tick_size: Number(`1e-${p.precision}`),
      lot_size: Number(`1e-${p.amount_precision}`), contract_multiplier: null, unified_symbol: `${p.base}/${p.quote}` })),
    ...JSON.parse(contracts).map((c) => ({ exchange: 'gate-io-futures', symbol: c.name, base: c.name.split('_')[0], quote: c.name.split('_')[1], type: c.type === 'inverse' ? 'inverse_perpetual' : 'perpetual',
      status: c.in_delisting ? 'delisting' : 'trading', tick_size: Number(c.order_price_round), lot_size: 1, contract_multiplier: Number(c.quanto_multiplier),
      unified_symbol: `${c.name.replace('_', '/')}:${c.name.split('_')[1]}` })),
  ].sort((a, b) => (a.exchange === b.exchange ? (a.symbol < b.symbol ? -1 : 1) : a.exchange < b.exchange ? -1 : 1));
  assert.deepEqual(got, expected);
  remove(dir);
});
