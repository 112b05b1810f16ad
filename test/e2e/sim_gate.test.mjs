// Gate as the simulator plays it, spot and USDT futures: the recorder on every channel of both, and
// clients made by others, ccxt pro and gateio-api, with nothing changed but their URLs. They verify
// TLS (NODE_EXTRA_CA_CERTS is read when node starts), so each is a process of its own: this file again.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const self = fileURLToPath(import.meta.url);
const clients = { ccxtSpot, ccxtFutures, ownSpot, ownFutures };

if (clients[process.argv[2]]) {
  await clients[process.argv[2]](process.argv[3]);
  process.exit(0);
}
const { files, folder, query, record, remove, simulate, symbolsOf, table } = await import('./lib.mjs');

const both = 'trades,book_ticker,incremental_book_L2,book_snapshot_5,book_snapshot_20,book_snapshot_50,candles,ticker';

test('every channel of spot and futures is recorded without a gap or a violation', { timeout: 120000 }, async () => {
  const dir = folder('gate');
  const data = `${dir}/data`;
  const spot = await simulate(dir, { exchange: 'gate-io', symbols: 12, rate: 1500 });
  const futures = await simulate(dir, { exchange: 'gate-io-futures', symbols: 12, rate: 1500 });
  const ca = await authorities(dir, [spot, futures]);
  const recorder = record(spot, data, [...futures.settings, '--set', `net.ca_file=${ca}`, '--set', `gate_futures.symbols=${futures.symbols}`,
    '--set', `gate.channels=${both}`, '--set', `gate_futures.channels=${both},derivative_ticker,liquidations`,
    '--set', 'gate.candles=1m,1w', '--set', 'gate_futures.candles=1m,1h', '--seconds', '20']);
  const { code } = await recorder.exited;
  assert.equal(code, 0, recorder.stdout + recorder.stderr);
  assert.equal(recorder.stderr, '');
  assert.match(recorder.stdout, /gaps +0; 0 ids missing; books: 24 whole/);
  assert.match(recorder.stdout, /undecodable 0/);
  assert.match(recorder.stdout, /reconnects 0, .*subscribed again 0/);
  for (const sim of [spot, futures]) {
    const status = await sim.status();
    assert.equal(status.violations, 0, JSON.stringify(status.violations_by_kind));
    assert.equal(status.streams_unknown + status.control_errors, 0);
    assert.equal(status.websockets, 1);
  }
  const landed = (exchange) => [...new Set(files(data).map((file) => new RegExp(`exchange=${exchange}/channel=([^/]+)`).exec(file)?.[1]))].filter(Boolean).sort();
  const expected = [...both.split(','), 'instruments'];
  assert.deepEqual(landed('gate-io'), [...expected].sort());
  assert.deepEqual(landed('gate-io-futures'), [...expected, 'derivative_ticker', 'liquidations'].sort());

  // trade ids of the model count up by one
  const [ids] = await query(`SELECT sum(high - low + 1 - n) AS holes, count(*) AS symbols FROM (SELECT exchange, symbol, min(trade_id) AS low, max(trade_id) AS high, count(*) AS n
    FROM ${table(data, 'trades')} GROUP BY ALL)`);
  assert.deepEqual([Number(ids.holes), Number(ids.symbols)], [0, 24]);
  // contracts x multiplier are coins; some contracts are counted in tenths
  const bases = await query(`SELECT symbol, min(amount_base / amount)::DOUBLE AS one, count(*) FILTER (amount <> floor(amount)) AS fractions FROM ${table(data, 'trades')}
    WHERE exchange = 'gate-io-futures' AND symbol IN ('BTC_USDT', 'ETH_USDT') GROUP BY symbol ORDER BY symbol`);
  assert.deepEqual(bases.map((row) => [row.symbol, Number(row.one).toFixed(6), Number(row.fractions) > 0]), [['BTC_USDT', '0.000010', false], ['ETH_USDT', '0.001000', true]]);
  const [marks] = await query(`SELECT count(*) FILTER (mark_price IS NOT NULL AND index_price IS NOT NULL AND funding_rate IS NOT NULL) AS marks,
    count(*) FILTER (open_interest IS NOT NULL) AS interest FROM ${table(data, 'derivative_ticker')}`);
  assert.ok(Number(marks.marks) >= 12 * 12, `${marks.marks} mark prices`);
  assert.ok(Number(marks.interest) >= 12 * 3, `${marks.interest} open interests`);
  await spot.stop();
  await futures.stop();
  remove(dir);
});

test('a lost book message is answered by a new full book, without a request for a snapshot', { timeout: 60000 }, async () => {
  const dir = folder('gate');
  const sim = await simulate(dir, { exchange: 'gate-io-futures', symbols: 4, rate: 400, faults: 'at 4s drop depth BTC_USDT\n' });
  const recorder = record(sim, `${dir}/data`, ['--set', 'gate_futures.channels=incremental_book_L2', '--seconds', '10']);
  const { code } = await recorder.exited;
  assert.equal(code, 0, recorder.stdout + recorder.stderr);
  assert.match(recorder.stdout, /gaps +2 \(sequence 1, stall 1\);.*4 whole after 5 snapshots/);
  assert.match(recorder.stdout, /REST +1 requests, 0 failed/); // the list
  const status = await sim.status();
  assert.equal(status.violations, 0);
  assert.equal(status.control_errors, 0); // unsubscribed first: no "Alert sub"
  assert.equal(status.faults_by_kind.drop, 1);
  assert.equal(status.streams_subscribed, 5);
  await sim.stop();
  remove(dir);
});

test('names with bytes beyond ASCII are recorded', { timeout: 60000 }, async () => {
  const dir = folder('gate');
  const sim = await simulate(dir, { exchange: 'gate-io', symbols: 64, rate: 3000 });
  const name = symbolsOf(sim).find((symbol) => /[^\x20-\x7e]/.test(symbol));
  assert.equal(name, '这是测试币_456');
  const recorder = record({ ...sim, symbols: name }, `${dir}/data`, ['--seconds', '6']);
  assert.equal((await recorder.exited).code, 0, recorder.stdout + recorder.stderr);
  const [rows] = await query(`SELECT count(*) AS n, any_value(symbol) AS symbol FROM ${table(`${dir}/data`, 'incremental_book_L2')}`);
  assert.equal(rows.symbol, name);
  assert.ok(Number(rows.n) > 100);
  assert.equal((await sim.status()).violations, 0);
  await sim.stop();
  remove(dir);
});

for (const [name, exchange, words] of [['ccxtSpot', 'gate-io', 'ccxt pro reads spot'], ['ccxtFutures', 'gate-io-futures', 'ccxt pro reads futures'],
  ['ownSpot', 'gate-io', 'gateio-api reads spot'], ['ownFutures', 'gate-io-futures', 'gateio-api reads futures']]) {
  test(`${words}: lists, books, trades and tickers`, { timeout: 90000 }, async () => {
    const dir = folder('gate');
    const sim = await simulate(dir, { exchange, symbols: 20, rate: 1000 });
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
    assert.ok(status.rest_requests >= 3 && status.streams_subscribed >= 3);
    await sim.stop();
    remove(dir);
  });
}

// The authorities of several simulators in one file.
async function authorities(dir, sims) {
  const { readFileSync, writeFileSync } = await import('node:fs');
  const path = `${dir}/all.pem`;
  writeFileSync(path, sims.map((sim) => readFileSync(sim.ca, 'utf8')).join(''));
  return path;
}

// ---- the clients

async function ccxtClient(port, type) {
  const ccxt = (await import('ccxt')).default;
  const exchange = new ccxt.pro.gate({ options: { fetchMarkets: { types: [type] }, fetchCurrencies: false, defaultType: type } });
  exchange.has.fetchCurrencies = false;
  for (const name of Object.keys(exchange.urls.api.public)) exchange.urls.api.public[name] = `https://localhost:${port}/api/v4`;
  exchange.urls.api.spot = `wss://localhost:${port}/ws/v4/`;
  exchange.urls.api.swap = { usdt: `wss://localhost:${port}/v4/ws/usdt` };
  return exchange;
}

function assertBook(bids, asks) {
  for (let i = 1; i < bids.length; i++) assert.ok(Number(bids[i][0]) < Number(bids[i - 1][0]));
  for (let i = 1; i < asks.length; i++) assert.ok(Number(asks[i][0]) > Number(asks[i - 1][0]));
  assert.ok(Number(bids[0][0]) < Number(asks[0][0]));
}

async function ccxtFollow(exchange, symbol) {
  const trades = [];
  while (trades.length < 60) trades.push(...(await exchange.watchTrades(symbol)));
  for (let i = 1; i < trades.length; i++) assert.equal(BigInt(trades[i].id), BigInt(trades[i - 1].id) + 1n);
  assert.ok(trades.some((t) => t.side === 'buy') && trades.some((t) => t.side === 'sell'));
  assert.ok(trades.every((t) => t.price > 0 && t.amount > 0 && Math.abs(t.timestamp - Date.now()) < 60000));
  let nonce = 0;
  for (let i = 0; i < 40; i++) {
    const book = await exchange.watchOrderBook(symbol);
    assert.ok(book.nonce >= nonce);
    nonce = book.nonce;
    assert.ok(book.bids.length >= 40 && book.asks.length >= 40);
    assertBook(book.bids, book.asks);
  }
  for (let i = 0; i < 20; i++) {
    const best = (await exchange.watchBidsAsks([symbol]))[symbol];
    assert.ok(best.bid < best.ask && best.bidVolume > 0 && best.askVolume > 0);
  }
  let ticker = await exchange.watchTicker(symbol);
  for (let i = 0; i < 4 && ticker.high === undefined; i++) ticker = await exchange.watchTicker(symbol); // some are partial
  assert.ok(ticker.low <= ticker.last && ticker.last <= ticker.high);
  const candles = await exchange.watchOHLCV(symbol, '1m');
  const [start, open, high, low, close] = candles[candles.length - 1];
  assert.equal(start % 60000, 0);
  assert.ok(low <= Math.min(open, close) && Math.max(open, close) <= high);
  await exchange.unWatchTrades(symbol);
}

async function ccxtSpot(port) {
  const exchange = await ccxtClient(port, 'spot');
  const markets = await exchange.loadMarkets();
  assert.equal(Object.keys(markets).length, 24); // 20 that trade and 4 that do not
  assert.equal(Object.values(markets).filter((m) => m.active).length, 20);
  const btc = markets['BTC/USDT'];
  assert.deepEqual([btc.id, btc.spot, btc.precision.price, btc.precision.amount], ['BTC_USDT', true, 0.01, 0.00001]);
  const book = await exchange.fetchOrderBook('BTC/USDT', 100);
  assert.deepEqual([book.bids.length, book.asks.length], [100, 100]);
  assertBook(book.bids, book.asks);
  assert.equal((await exchange.fetchTrades('ETH/USDT', undefined, 50)).length, 50);
  assert.equal(Object.keys(await exchange.fetchTickers()).length, 20);
  await assert.rejects(exchange.publicSpotGetOrderBook({ currency_pair: 'NO_SUCH' }));
  await ccxtFollow(exchange, 'BTC/USDT');
  await exchange.close();
}

async function ccxtFutures(port) {
  const exchange = await ccxtClient(port, 'swap');
  const markets = await exchange.loadMarkets();
  assert.equal(Object.keys(markets).length, 24);
  const eth = markets['ETH/USDT:USDT'];
  assert.deepEqual([eth.id, eth.swap, eth.linear, eth.contractSize, eth.precision.price], ['ETH_USDT', true, true, 0.001, 0.01]);
  const book = await exchange.fetchOrderBook('BTC/USDT:USDT', 50);
  assert.deepEqual([book.bids.length, book.asks.length], [50, 50]);
  assertBook(book.bids, book.asks);
  assert.equal((await exchange.fetchTrades('ETH/USDT:USDT', undefined, 50)).length, 50);
  assert.ok((await exchange.fetchTicker('BTC/USDT:USDT')).last > 0);
  await ccxtFollow(exchange, 'BTC/USDT:USDT');
  await exchange.close();
}

/** Subscribes by the venue's own client and gives back the first `count` results of each channel. */
async function ownTake(port, key, path, requests, count) {
  const { WebsocketClient } = await import('gateio-api');
  const silent = () => {};
  const client = new WebsocketClient({ wsUrl: `wss://localhost:${port}${path}` }, { trace: silent, info: silent, error: silent });
  const seen = {};
  const all = new Promise((done, fail) => {
    client.on('exception', (e) => fail(new Error(JSON.stringify(e))));
    client.on('update', (message) => {
      (seen[message.channel] ??= []).push(message.result);
      if (requests.every(({ topic }) => (seen[topic]?.length ?? 0) >= (count[topic] ?? count.other))) done();
    });
  });
  client.subscribe(requests, key);
  await all;
  client.closeAll(true);
  return seen;
}

function assertChain(updates) {
  for (let i = 1; i < updates.length; i++) assert.equal(updates[i].U, updates[i - 1].u + 1);
}

async function ownSpot(port) {
  const { RestClient } = await import('gateio-api');
  const rest = new RestClient({ baseUrl: `https://localhost:${port}/api/v4` });
  const pairs = await rest.getSpotCurrencyPairs();
  assert.equal(pairs.filter((pair) => pair.trade_status === 'tradable').length, 20);
  const book = await rest.getSpotOrderBook({ currency_pair: 'BTC_USDT', limit: 20, with_id: true });
  assert.ok(book.id > 0);
  assertBook(book.bids, book.asks);
  const [ticker] = await rest.getSpotTicker({ currency_pair: 'BTC_USDT' });
  assert.ok(Number(ticker.highest_bid) < Number(ticker.lowest_ask));
  assert.equal((await rest.getSpotTrades({ currency_pair: 'BTC_USDT', limit: 10 })).length, 10);
  const seen = await ownTake(port, 'spotV4', '/ws/v4/', [
    { topic: 'spot.trades', payload: ['BTC_USDT'] }, { topic: 'spot.book_ticker', payload: ['BTC_USDT', 'ETH_USDT'] },
    { topic: 'spot.tickers', payload: ['BTC_USDT'] }, { topic: 'spot.obu', payload: ['ob.BTC_USDT.400'] },
    { topic: 'spot.order_book', payload: ['BTC_USDT', '20', '100ms'] }], { 'spot.tickers': 2, other: 20 });
  for (let i = 1; i < 20; i++) assert.equal(seen['spot.trades'][i].id, seen['spot.trades'][i - 1].id + 1);
  assert.ok(seen['spot.book_ticker'].every((best) => Number(best.b) < Number(best.a)));
  assert.equal(seen['spot.obu'][0].full, true);
  assertBook(seen['spot.obu'][0].b, seen['spot.obu'][0].a);
  assertChain(seen['spot.obu']);
  assert.equal(seen['spot.order_book'][0].bids.length, 20);
}

async function ownFutures(port) {
  const { RestClient } = await import('gateio-api');
  const rest = new RestClient({ baseUrl: `https://localhost:${port}/api/v4` });
  const contracts = await rest.getFuturesContracts({ settle: 'usdt' });
  assert.equal(contracts.filter((contract) => contract.status === 'trading').length, 20);
  const book = await rest.getFuturesOrderBook({ settle: 'usdt', contract: 'BTC_USDT', limit: 20, with_id: true });
  assertBook(book.bids.map((l) => [l.p]), book.asks.map((l) => [l.p]));
  const [ticker] = await rest.getFuturesTickers({ settle: 'usdt', contract: 'BTC_USDT' });
  assert.ok(Number(ticker.mark_price) > 0 && Number(ticker.total_size) > 0);
  const seen = await ownTake(port, 'perpFuturesUSDTV4', '/v4/ws/usdt', [
    { topic: 'futures.trades', payload: ['BTC_USDT'] }, { topic: 'futures.book_ticker', payload: ['BTC_USDT'] },
    { topic: 'futures.tickers', payload: ['BTC_USDT'] }, { topic: 'futures.obu', payload: ['ob.BTC_USDT.400', 'ob.ETH_USDT.50'] },
    { topic: 'futures.order_book_update', payload: ['BTC_USDT', '100ms', '100'] }], { 'futures.tickers': 2, other: 20 });
  assert.ok(seen['futures.trades'].flat().every((trade) => trade.contract === 'BTC_USDT' && Number.isInteger(trade.size)));
  assert.ok(seen['futures.tickers'].flat().every((row) => Number(row.mark_price) > 0 && Number(row.index_price) > 0));
  for (const stream of ['ob.BTC_USDT.400', 'ob.ETH_USDT.50']) {
    const updates = seen['futures.obu'].filter((update) => update.s === stream);
    assert.equal(updates[0].full, true);
    assertChain(updates);
  }
  assertChain(seen['futures.order_book_update']);
}
