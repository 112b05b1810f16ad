// KuCoin as the simulator plays it, spot and futures, classic and unified sockets: the recorder on every
// channel of both, thousands of subscriptions, broken limits, and clients made by others, ccxt pro and
// kucoin-universal-sdk, with nothing changed but their URLs. They verify TLS (NODE_EXTRA_CA_CERTS is read
// when node starts), so each is a process of its own: this file again.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { describe, test } from 'node:test';
import { fileURLToPath } from 'node:url';

const self = fileURLToPath(import.meta.url);
const clients = { ccxtSpot, ccxtFutures, ownSpot, ownFutures };

if (clients[process.argv[2]]) {
  await clients[process.argv[2]](process.argv[3]);
  process.exit(0);
}
const { files, folder, long, query, record, remove, runSync, simulate, sleep, table } = await import('./lib.mjs');
const { startSimulator } = await import('./sim.mjs');
const { asksOf, bidsOf, rebuild } = await import('./golden.mjs');

const both = 'trades,book_ticker,incremental_book_L2,book_snapshot_5,book_snapshot_50,candles,ticker';

// these wait more than they work
describe('the recorder', { concurrency: 4 }, () => {
  test('every channel of spot and futures is recorded without a gap or a violation', { timeout: 120000 }, async () => {
    const dir = folder('kucoin');
    const data = `${dir}/data`;
    const spot = await simulate(dir, { exchange: 'kucoin', symbols: 8, rate: 1000 });
    const futures = await simulate(dir, { exchange: 'kucoin-futures', symbols: 8, rate: 1000 });
    const recorder = record(spot, data, [...futures.settings, '--set', `net.ca_file=${await authorities(dir, [spot, futures])}`,
      '--set', `kucoin_futures.symbols=${futures.symbols}`, '--set', `kucoin.channels=${both}`, '--set', `kucoin_futures.channels=${both},derivative_ticker`,
      '--set', 'kucoin.candles=1m', '--set', 'kucoin_futures.candles=1m', '--seconds', '14']);
    const { code } = await recorder.exited;
    assert.equal(code, 0, recorder.stdout + recorder.stderr);
    assert.equal(recorder.stderr, '');
    assert.match(recorder.stdout, /gaps +0; 0 ids missing; books: 16 whole/);
    assert.match(recorder.stdout, /undecodable 0/);
    assert.match(recorder.stdout, /reconnects 0, .*subscribed again 0/);
    // books and open interest on unified sockets, the rest on classic ones, for which tokens were fetched
    for (const [sim, streams] of [[spot, 7 * 8], [futures, 7 * 8 + 2 * 8]]) {
      const status = await sim.status();
      assert.equal(status.violations, 0, JSON.stringify(status.violations_by_kind));
      assert.equal(status.streams_unknown + status.control_errors, 0);
      assert.equal(status.websockets, 2);
      assert.equal(status.streams_subscribed, streams);
    }
    const landed = (exchange) => [...new Set(files(data).map((file) => new RegExp(`exchange=${exchange}/channel=([^/]+)`).exec(file)?.[1]))].filter(Boolean).sort();
    const expected = [...both.split(','), 'instruments'];
    assert.deepEqual(landed('kucoin'), [...expected].sort());
    assert.deepEqual(landed('kucoin-futures'), [...expected, 'derivative_ticker'].sort());

    // ids of trades are beyond 2^53 and distinct
    const [ids] = await query(`SELECT count(*) AS n, count(DISTINCT (exchange, symbol, trade_id)) AS ids, min(trade_id) FILTER (exchange = 'kucoin') AS low FROM ${table(data, 'trades')}`);
    assert.equal(ids.n, ids.ids);
    assert.ok(BigInt(ids.low) > 2n ** 53n, ids.low);
    // the ids of what changed have no hole, also where a message says that nothing changed
    const [chain] = await query(`WITH message AS (SELECT exchange, symbol, local_seq, bool_or(is_snapshot) AS whole, min(first_update_id) AS first, max(last_update_id) AS last
        FROM ${table(data, 'incremental_book_L2')} GROUP BY ALL),
      pairs AS (SELECT *, lag(last) OVER (PARTITION BY exchange, symbol ORDER BY local_seq) AS before FROM message)
      SELECT count(*) FILTER (NOT whole AND first <> before + 1) AS breaks, count(*) FILTER (NOT whole) AS deltas FROM pairs`);
    assert.equal(Number(chain.breaks), 0);
    assert.ok(Number(chain.deltas) > 3000, `${chain.deltas} deltas`);
    // the book that a reader makes of changes (unified sockets) is the one that the classic socket sends whole
    const wholes = new Map((await query(`SELECT * FROM ${table(data, 'book_snapshot_50')} WHERE exchange = 'kucoin-futures'`)).map((row) => [`${row.symbol} ${row.last_update_id}`, row]));
    let compared = 0;
    const made = await rebuild(data, (symbol, book) => {
      const whole = wholes.get(`${symbol} ${book.id}`);
      if (whole === undefined) return;
      compared++;
      const levels = (side) => Array.from({ length: 50 }, (_, i) => [whole[`${side}_${i}_price`], whole[`${side}_${i}_amount`]]);
      assert.deepEqual([bidsOf(book).slice(0, 50), asksOf(book).slice(0, 50)], [levels('bids'), levels('asks')], `${symbol} at ${book.id}`);
    });
    assert.equal(made.size, 16);
    assert.ok(compared > 100, `${compared} books compared`);
    // lots x multiplier are coins
    const bases = await query(`SELECT symbol, min(amount_base / amount)::DOUBLE AS low, max(amount_base / amount)::DOUBLE AS high, any_value(multiplier) AS multiplier FROM ${table(data, 'trades')} t
      JOIN (SELECT exchange, symbol, max(contract_multiplier) AS multiplier FROM ${table(data, 'instruments')} GROUP BY ALL) USING (exchange, symbol)
      WHERE exchange = 'kucoin-futures' GROUP BY symbol`);
    assert.equal(bases.length, 8);
    for (const row of bases) assert.deepEqual([Number(row.low).toPrecision(9), Number(row.high).toPrecision(9)], Array(2).fill(Number(row.multiplier).toPrecision(9)), row.symbol);
    const [marks] = await query(`SELECT count(*) FILTER (mark_price IS NOT NULL AND index_price IS NOT NULL) AS marks, count(*) FILTER (open_interest IS NOT NULL) AS interest FROM ${table(data, 'derivative_ticker')}`);
    assert.ok(Number(marks.marks) >= 8 * 6 && Number(marks.interest) >= 8 * 3, JSON.stringify(marks));
    await spot.stop();
    await futures.stop();
    remove(dir);
  });

  test('a lost book message and a book that died are answered by new full books of these symbols alone, without REST', { timeout: 60000 }, async () => {
    const dir = folder('kucoin');
    const sim = await simulate(dir, { exchange: 'kucoin-futures', symbols: 4, rate: 400, faults: 'at 4s drop depth XBTUSDTM\nat 5s mute depth ETHUSDTM\n' });
    const recorder = record(sim, `${dir}/data`, ['--set', 'kucoin_futures.channels=incremental_book_L2', '--set', 'net.stream_stall_secs=2', '--seconds', '12']);
    const { code } = await recorder.exited;
    assert.equal(code, 0, recorder.stdout + recorder.stderr);
    assert.match(recorder.stderr, /ETHUSDTM incremental_book_L2 is silent: subscribed again/);
    assert.match(recorder.stdout, /gaps +3 \(sequence 1, stall 2\);.*4 whole after 6 snapshots/);
    assert.match(recorder.stdout, /REST +1 requests, 0 failed/); // the list: unified sockets want no token
    const status = await sim.status();
    assert.equal(status.violations, 0);
    assert.deepEqual([status.faults_by_kind.drop, status.faults_by_kind.mute], [1, 1]);
    assert.equal(status.streams_subscribed, 6);
    await sim.stop();
    remove(dir);
  });

  // In CI test_life does this on a simulated clock (scaled lives on all venues).
  test('each connect has a token of its own; connections are replaced before they end', { timeout: 90000, skip: long ? false : 'MD_LONG=1' }, async () => {
    const dir = folder('kucoin');
    // lives and tokens of 30 s instead of 24 h; the recorder is told of 14 s, and needs some for the new one's books
    const sim = await startSimulator({ exchange: 'kucoin', seed: 7, symbols: 6, rate: 300, extra: ['--limit', 'life_ms=30000'] });
    const settings = ['kucoin.symbols=all', 'kucoin.channels=trades,book_ticker,incremental_book_L2', `kucoin.uta_url=wss://127.0.0.1:${sim.port}`, `kucoin.rest_url=${sim.rest}`,
      `net.ca_file=${sim.ca}`, 'net.connection_life_secs=14', 'net.backoff_min_ms=50', 'net.backoff_max_ms=400'];
    const recorder = record({ section: 'kucoin', settings: settings.flatMap((pair) => ['--set', pair]) }, `${dir}/data`, ['--seconds', '30']);
    const { code } = await recorder.exited;
    assert.equal(code, 0, recorder.stdout + recorder.stderr);
    const replaced = Number(/replaced in time (\d+)/.exec(recorder.stdout)?.[1]);
    assert.ok(replaced >= 3, recorder.stdout);
    assert.match(recorder.stdout, /gaps +0; 0 ids missing/);
    assert.match(recorder.stdout, /reconnects 0,/);
    const status = await sim.status();
    assert.equal(status.violations, 0, JSON.stringify(status.violations_by_kind)); // a token used twice or too old is one
    assert.ok(status.websockets >= 5);
    await sim.stop();
    remove(dir);
  });
  // The venue's own pacing (150 ms, 2.5 s between connects) and its own limits: nothing is scaled. A topic
  // holds up to 100 symbols, so 1,900 classic subscriptions are 20 requests on 8 connections; the 100 books on
  // the unified socket are a request each, 15 s. MD_LONG=1: 4,000, of which 2,100 are a request each.
  test('2,000 subscriptions of spot and futures complete without one 509', { timeout: long ? 900000 : 120000 }, async () => {
    const dir = folder('kucoin');
    const spot = await simulate(dir, { exchange: 'kucoin', symbols: 400, rate: 400 });
    const futures = await simulate(dir, { exchange: 'kucoin-futures', symbols: 100, rate: 200 });
    const channels = 'trades,book_ticker,incremental_book_L2,ticker';
    const recorder = record({ ...spot, symbols: 'all' }, `${dir}/data`, [...futures.settings, '--set', `net.ca_file=${await authorities(dir, [spot, futures])}`,
      '--set', `kucoin.channels=${long ? `${channels},candles` : 'trades,book_ticker,book_snapshot_5,ticker'}`, '--set', 'kucoin.candles=1m,5m,1h,4h,1d',
      '--set', 'kucoin_futures.symbols=all', '--set', `kucoin_futures.channels=${channels}`, '--set', 'output.parquet_batch_size=2000', '--set', 'output.parquet_max_open_files=300']);
    const wanted = 400 * (long ? 9 : 4) + 100 * 4;
    const planned = Number((await recorder.until(/kucoin-futures .*all asked for after ([\d.]+) s/))[1]);
    const count = async () => (await spot.status()).streams_subscribed + (await futures.status()).streams_subscribed;
    const start = Date.now();
    while ((await count()) < wanted && Date.now() - start < (planned + 20) * 1000) await sleep(500);
    const took = (Date.now() - start) / 1000;
    await sleep(1500);
    recorder.child.kill('SIGTERM');
    const { code } = await recorder.exited; // 4: a slow disk does not seal 2,000 files in the time to stop
    assert.ok(code === 0 || code === 4, recorder.stdout + recorder.stderr);
    for (const sim of [spot, futures]) {
      const status = await sim.status();
      assert.equal(status.violations, 0, JSON.stringify(status.violations_by_kind));
      assert.equal(status.control_errors + status.rest_429, 0);
    }
    assert.match(recorder.stdout, new RegExp(`${wanted} of ${wanted} streams acknowledged`));
    assert.doesNotMatch(recorder.stdout, /told to be slower|^warning: kucoin/m);
    assert.match(recorder.stdout, /reconnects 0,/);
    assert.ok(took > planned * 0.7 && took < planned + 15, `${took} s, the timetable said ${planned} s`);
    await spot.stop();
    await futures.stop();
    remove(dir);
  });

  test('settings that break the limits: check warns with the arithmetic, a 509 pauses all, is counted, and all is subscribed in the end', { timeout: 120000 }, async () => {
    const dir = folder('kucoin');
    const sim = await simulate(dir, { exchange: 'kucoin', symbols: 20, rate: 300 });
    const wrong = ['kucoin.subscribe_delay_ms=10', 'kucoin.global_subscribe_delay_ms=0', 'kucoin.conn_stagger_ms=500', 'kucoin.streams_per_connection=60',
      'kucoin.channels=trades,book_ticker,candles'].flatMap((pair) => ['--set', pair]);
    const check = runSync(['check', '--set', 'kucoin.symbols=all', ...sim.settings, ...wrong]);
    assert.match(check.stdout, /subscribe_delay_ms 10: 1000 requests and a ping in 10 s on a connection; the venue allows 100 and answers 509: use 150/);
    assert.match(check.stdout, /conn_stagger_ms 500: 120 connects a minute; the venue allows 30: use 2500/);
    const recorder = record({ ...sim, symbols: 'all' }, `${dir}/data`, [...wrong, '--seconds', '20']);
    assert.equal((await recorder.exited).code, 0, recorder.stdout + recorder.stderr);
    assert.match(recorder.stderr, /throttled .*509 exceed max permits per second: all requests pause 10 s, then come 0\.30 s apart/);
    const times = Number(/told to be slower (\d+) times/.exec(recorder.stdout)?.[1]);
    const status = await sim.status();
    assert.equal(times, status.violations_by_kind.messages_per_second); // each 509 is counted
    assert.ok(times >= 1 && times <= 2, recorder.stdout);
    assert.match(recorder.stdout, /1 of 1 live at the end, 60 of 60 streams acknowledged/);
    assert.equal(status.violations, times);
    // what was interrupted is in gaps
    const [gaps] = await query(`SELECT count(*) AS n FROM ${table(`${dir}/data`, 'gaps')} WHERE kind = 'reconnect'`);
    assert.ok(Number(gaps.n) >= 1);
    await sim.stop();
    remove(dir);
  });
});

describe('clients', { concurrency: 2 }, () => {
  for (const [name, exchange, words] of [['ccxtSpot', 'kucoin', 'ccxt pro reads spot'], ['ccxtFutures', 'kucoin-futures', 'ccxt pro reads futures'],
    ['ownSpot', 'kucoin', 'kucoin-universal-sdk reads spot'], ['ownFutures', 'kucoin-futures', 'kucoin-universal-sdk reads futures']]) {
    test(`${words}: lists, books, trades and tickers`, { timeout: 90000 }, async () => {
      const sim = await startSimulator({ exchange, seed: 7, symbols: 20, rate: 800 });
      try {
        const env = { ...process.env, NODE_EXTRA_CA_CERTS: sim.ca };
        delete env.NODE_TEST_CONTEXT;
        const child = spawn(process.execPath, [self, name, String(sim.port)], { env });
        let output = '';
        child.stdout.on('data', (data) => { output += data; });
        child.stderr.on('data', (data) => { output += data; });
        const timer = setTimeout(() => child.kill('SIGKILL'), 60000);
        const code = await new Promise((done) => { child.on('exit', done); });
        clearTimeout(timer);
        assert.equal(code, 0, output);
        const status = await sim.status();
        assert.equal(status.violations, 0, JSON.stringify(status.violations_by_kind));
        assert.equal(status.control_errors, 0);
        assert.ok(status.rest_requests >= 3 && status.streams_subscribed >= 3, JSON.stringify(status));
      } finally {
        await sim.stop();
      }
    });
  }
});

// The authorities of several simulators in one file.
async function authorities(dir, sims) {
  const { readFileSync, writeFileSync } = await import('node:fs');
  const path = `${dir}/all.pem`;
  writeFileSync(path, sims.map((sim) => readFileSync(sim.ca, 'utf8')).join(''));
  return path;
}

// ---- the clients

function assertBook(bids, asks) {
  for (let i = 1; i < bids.length; i++) assert.ok(Number(bids[i][0]) < Number(bids[i - 1][0]));
  for (let i = 1; i < asks.length; i++) assert.ok(Number(asks[i][0]) > Number(asks[i - 1][0]));
  assert.ok(Number(bids[0][0]) < Number(asks[0][0]));
}

async function ccxtClient(port, futures) {
  const ccxt = (await import('ccxt')).default;
  const exchange = futures ? new ccxt.pro.kucoinfutures({ newUpdates: true }) : new ccxt.pro.kucoin({ newUpdates: true, options: { fetchMarkets: { types: ['spot'] } } });
  exchange.has.fetchCurrencies = false;
  for (const name of ['public', 'futuresPublic', 'uta', 'utaV2']) exchange.urls.api[name] = `https://localhost:${port}`;
  exchange.urls.api.ws = { spot: `wss://localhost:${port}`, futures: `wss://localhost:${port}` };
  return exchange;
}

async function ccxtFollow(exchange, symbol) {
  const trades = [];
  while (trades.length < 60) trades.push(...(await exchange.watchTrades(symbol)));
  for (let i = 1; i < trades.length; i++) assert.ok(BigInt(trades[i].id) > BigInt(trades[i - 1].id));
  assert.ok(trades.some((t) => t.side === 'buy') && trades.some((t) => t.side === 'sell'));
  assert.ok(trades.every((t) => t.price > 0 && t.amount > 0 && Math.abs(t.timestamp - Date.now()) < 60000));
  // ccxt joins the REST snapshot with the changes it has kept
  let nonce = 0;
  for (let i = 0; i < 40; i++) {
    const book = await exchange.watchOrderBook(symbol);
    assert.ok(book.nonce >= nonce && book.bids.length >= 40 && book.asks.length >= 40);
    nonce = book.nonce;
    assertBook(book.bids, book.asks);
  }
  for (let i = 0; i < 20; i++) {
    const best = (await exchange.watchBidsAsks([symbol]))[symbol];
    assert.ok(best.bid < best.ask && best.bidVolume > 0 && best.askVolume > 0);
  }
  const candles = await exchange.watchOHLCV(symbol, '1m');
  const [start, open, high, low, close] = candles[candles.length - 1];
  assert.equal(start % 60000, 0);
  assert.ok(low <= Math.min(open, close) && Math.max(open, close) <= high);
  // unified sockets: JSON in binary frames
  for (let i = 0; i < 5; i++) {
    const book = await exchange.watchOrderBook(symbol, undefined, { uta: true, depth: '50', utaDepth: '50' });
    assert.deepEqual([book.bids.length, book.asks.length], [50, 50]);
    assertBook(book.bids, book.asks);
  }
  await exchange.unWatchTrades(symbol);
}

async function ccxtSpot(port) {
  const exchange = await ccxtClient(port, false);
  const markets = await exchange.loadMarkets();
  assert.equal(Object.values(markets).filter((m) => m.active).length, 20);
  assert.ok(Object.keys(markets).length > 20);
  const btc = markets['BTC/USDT'];
  assert.deepEqual([btc.id, btc.spot, btc.precision.price, btc.precision.amount], ['BTC-USDT', true, 0.01, 0.00001]);
  const book = await exchange.fetchOrderBook('BTC/USDT', 100);
  assert.deepEqual([book.bids.length, book.asks.length], [100, 100]);
  assertBook(book.bids, book.asks);
  assert.ok((await exchange.fetchTrades('ETH/USDT')).length >= 50);
  assert.equal(Object.keys(await exchange.fetchTickers()).length, 20);
  const ticker = await exchange.watchTicker('BTC/USDT'); // /market/snapshot
  assert.ok(ticker.low <= ticker.last && ticker.last <= ticker.high);
  const quote = await exchange.watchTicker('BTC/USDT', { uta: true });
  assert.ok(Number(quote.info.b) < Number(quote.info.a)); // ccxt 4.5 takes a for the bid
  await ccxtFollow(exchange, 'BTC/USDT');
  await exchange.close();
}

async function ccxtFutures(port) {
  const exchange = await ccxtClient(port, true);
  const markets = await exchange.loadMarkets();
  const btc = markets['BTC/USDT:USDT'];
  assert.deepEqual([btc.id, btc.swap, btc.linear], ['XBTUSDTM', true, true]);
  assert.ok(btc.contractSize > 0 && btc.contractSize < 1);
  const book = await exchange.fetchOrderBook('BTC/USDT:USDT', 100);
  assertBook(book.bids, book.asks);
  assert.ok((await exchange.fetchTrades('ETH/USDT:USDT')).length >= 50);
  const ticker = await exchange.watchTicker('BTC/USDT:USDT'); // /contractMarket/ticker
  assert.ok(ticker.last > 0);
  const mark = await exchange.watchMarkPrice('BTC/USDT:USDT');
  assert.ok(Math.abs(mark.markPrice / ticker.last - 1) < 0.1);
  await ccxtFollow(exchange, 'BTC/USDT:USDT');
  await exchange.close();
}

async function ownClient(port) {
  const sdk = (await import('kucoin-universal-sdk')).default;
  const url = `https://localhost:${port}`;
  const option = new sdk.ClientOptionBuilder().setSpotEndpoint(url).setFuturesEndpoint(url).setBrokerEndpoint(url)
    .setTransportOption(new sdk.TransportOptionBuilder().setMaxRetries(0).build()).setWebSocketClientOption(new sdk.WebSocketClientOptionBuilder().build()).build();
  return { sdk, client: new sdk.DefaultClient(option) };
}

// Subscribes one topic after another and gives back the first `count` messages of each.
async function ownTake(ws, asks, count) {
  await ws.start();
  const seen = {};
  let all;
  const done = new Promise((resolve) => { all = resolve; });
  for (const [name, subscribe] of Object.entries(asks)) {
    seen[name] = [];
    await subscribe((topic, subject, data) => {
      seen[name].push({ topic, subject, data });
      if (Object.keys(asks).every((key) => seen[key]?.length >= (count[key] ?? count.other))) all();
    });
  }
  await done;
  await ws.stop();
  return seen;
}

async function ownSpot(port) {
  const { sdk, client } = await ownClient(port);
  const market = client.restService().getSpotService().getMarketApi();
  const list = await market.getAllSymbols(sdk.Spot.Market.GetAllSymbolsReq.builder().build());
  assert.equal(list.data.filter((symbol) => symbol.enableTrading).length, 20);
  const book = await market.getPartOrderBook(sdk.Spot.Market.GetPartOrderBookReq.builder().setSymbol('BTC-USDT').setSize('20').build());
  assert.equal(book.bids.length, 20);
  assertBook(book.bids, book.asks);
  const trades = await market.getTradeHistory(sdk.Spot.Market.GetTradeHistoryReq.builder().setSymbol('BTC-USDT').build());
  assert.ok(trades.data.length > 0);
  const ws = client.wsService().newSpotPublicWS();
  const names = ['BTC-USDT', 'ETH-USDT'];
  const seen = await ownTake(ws, {
    trade: (on) => ws.trade(names, on), best: (on) => ws.orderbookLevel1(names, on), depth: (on) => ws.orderbookLevel5(names, on),
    changes: (on) => ws.orderbookIncrement(['BTC-USDT'], on), figures: (on) => ws.symbolSnapshot('BTC-USDT', on),
  }, { figures: 1, other: 20 });
  assert.ok(seen.trade.every(({ data }) => names.includes(data.symbol) && Number(data.price) > 0 && BigInt(data.tradeId) > 2n ** 53n));
  assert.ok(seen.best.every(({ data }) => Number(data.bids[0]) < Number(data.asks[0])));
  for (const { data } of seen.depth) assertBook(data.bids, data.asks);
  for (let i = 1; i < seen.changes.length; i++) assert.equal(seen.changes[i].data.sequenceStart, seen.changes[i - 1].data.sequenceEnd + 1);
  assert.equal(seen.figures[0].data.data.symbol, 'BTC-USDT');
}

async function ownFutures(port) {
  const { sdk, client } = await ownClient(port);
  const market = client.restService().getFuturesService().getMarketApi();
  const list = await market.getAllSymbols();
  assert.equal(list.data.filter((contract) => contract.status === 'Open').length, 20);
  assert.equal(list.data[0].symbol, 'XBTUSDTM');
  const book = await market.getPartOrderBook(sdk.Futures.Market.GetPartOrderBookReq.builder().setSymbol('XBTUSDTM').setSize('20').build());
  assertBook(book.bids, book.asks);
  const ws = client.wsService().newFuturesPublicWS();
  const seen = await ownTake(ws, {
    trade: (on) => ws.execution('XBTUSDTM', on), best: (on) => ws.tickerV2('XBTUSDTM', on), depth: (on) => ws.orderbookLevel50('XBTUSDTM', on),
    changes: (on) => ws.orderbookIncrement('XBTUSDTM', on), marks: (on) => ws.instrument('XBTUSDTM', on),
  }, { marks: 2, other: 20 });
  assert.ok(seen.trade.every(({ data }) => data.symbol === 'XBTUSDTM' && Number(data.price) > 0 && Number.isInteger(data.size)));
  assert.ok(seen.best.every(({ data }) => Number(data.bestBidPrice) < Number(data.bestAskPrice)));
  for (const { data } of seen.depth) assertBook(data.bids, data.asks);
  for (let i = 1; i < seen.changes.length; i++) assert.equal(seen.changes[i].data.sequence, seen.changes[i - 1].data.sequence + 1);
  assert.ok(seen.marks.some(({ data }) => data.markPrice > 0));
}
