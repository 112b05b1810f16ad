// Clients made by others read the simulator: ccxt pro and the venue's own SDK, with nothing changed but
// their URLs, over TLS that they verify (NODE_EXTRA_CA_CERTS is read when node starts, so each client
// is a process of its own: this file again, with the client's name).
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const self = fileURLToPath(import.meta.url);
const clients = { ccxtRest, ccxtStreams, ccxtUntrusted, binanceRest, binanceStreams };

if (clients[process.argv[2]]) {
    await clients[process.argv[2]](process.argv[3]);
    process.exit(0);
}

/** Runs a client against a simulator of its own and returns the simulator's status at the end. */
async function runClient(name, { trusted = true, ...options } = {}) {
    const { startSimulator } = await import('./sim.mjs');
    const simulator = await startSimulator({ seed: 7, symbols: 40, rate: 400, ...options });
    try {
        const env = { ...process.env, NODE_EXTRA_CA_CERTS: trusted ? simulator.ca : '' };
        delete env.NODE_TEST_CONTEXT;
        const child = spawn(process.execPath, [self, name, String(simulator.port)], { env });
        let output = '';
        child.stdout.on('data', (data) => (output += data));
        child.stderr.on('data', (data) => (output += data));
        const timer = setTimeout(() => child.kill('SIGKILL'), 60000);
        const code = await new Promise((resolve) => child.on('exit', resolve));
        clearTimeout(timer);
        assert.equal(code, 0, `${name}: ${output}`);
        return await simulator.status();
    } finally {
        await simulator.stop();
    }
}

test('ccxt reads markets, books, trades, candles and tickers by REST', async () => {
    const status = await runClient('ccxtRest');
    assert.equal(status.violations, 0);
    assert.ok(status.rest_requests >= 7);
});

test('ccxt pro follows trades, books, tickers and candles', async () => {
    const status = await runClient('ccxtStreams');
    assert.equal(status.violations, 0);
    assert.equal(status.control_errors, 0);
    assert.ok(status.streams_subscribed >= 5);
});

test('a client that does not know the authority refuses the simulator', async () => {
    const status = await runClient('ccxtUntrusted', { trusted: false });
    assert.equal(status.rest_requests, 0);
});

test('@binance/spot reads REST', async () => {
    const status = await runClient('binanceRest');
    assert.equal(status.violations, 0);
});

test('@binance/spot follows streams', async () => {
    const status = await runClient('binanceStreams');
    assert.equal(status.violations, 0);
    assert.equal(status.control_errors, 0);
});

// ---- the clients

async function ccxtClient(port) {
    const ccxt = (await import('ccxt')).default;
    const exchange = new ccxt.pro.binance({
        options: { fetchMarkets: ['spot'], fetchCurrencies: false, defaultType: 'spot' },
    });
    exchange.has.fetchCurrencies = false;
    for (const name of ['public', 'private', 'v1']) {
        exchange.urls.api[name] = `https://localhost:${port}/api/v3`;
    }
    exchange.urls.api.ws.spot = `wss://localhost:${port}/ws`;
    return exchange;
}

async function ccxtRest(port) {
    const exchange = await ccxtClient(port);
    const markets = await exchange.loadMarkets();
    assert.equal(Object.keys(markets).length, 44); // 40 that trade and 4 that do not
    assert.equal(Object.values(markets).filter((m) => m.active).length, 40);
    const btc = markets['BTC/USDT'];
    assert.deepEqual(
        [btc.id, btc.base, btc.quote, btc.spot, btc.precision.price, btc.precision.amount, btc.limits.cost.min],
        ['BTCUSDT', 'BTC', 'USDT', true, 0.01, 0.00001, 5]);

    const book = await exchange.fetchOrderBook('BTC/USDT', 100);
    assert.equal(book.bids.length, 100);
    assert.equal(book.asks.length, 100);
    assert.ok(book.nonce > 100000000);
    assertBook(book);

    const trades = await exchange.fetchTrades('ETH/USDT', undefined, 50);
    assert.equal(trades.length, 50);
    assertTrades(trades);
    assert.ok(trades.some((t) => t.side === 'buy') && trades.some((t) => t.side === 'sell'));

    const ticker = await exchange.fetchTicker('BTC/USDT');
    assert.ok(ticker.bid < ticker.ask && ticker.low <= ticker.last && ticker.last <= ticker.high);
    assert.ok(ticker.baseVolume > 0 && ticker.quoteVolume > ticker.baseVolume);
    assert.equal(Object.keys(await exchange.fetchTickers()).length, 40);

    const candles = await exchange.fetchOHLCV('BTC/USDT', '1m', undefined, 10);
    assert.equal(candles.length, 10);
    for (let i = 1; i < 10; i++) {
        assert.equal(candles[i][0] - candles[i - 1][0], 60000);
        const [, open, high, low, close] = candles[i];
        assert.ok(low <= Math.min(open, close) && Math.max(open, close) <= high);
    }
    assert.ok(Math.abs((await exchange.fetchTime()) - Date.now()) < 5000);
    await assert.rejects(exchange.publicGetDepth({ symbol: 'NOSUCH' }), (e) => e.constructor.name === 'BadSymbol');
    await exchange.close();
}

async function ccxtStreams(port) {
    const exchange = await ccxtClient(port);
    await exchange.loadMarkets();
    const symbol = 'BTC/USDT';

    const seen = [];
    while (seen.length < 60) seen.push(...(await exchange.watchTrades(symbol)));
    assertTrades(seen);
    for (let i = 1; i < seen.length; i++) assert.equal(BigInt(seen[i].id), BigInt(seen[i - 1].id) + 1n);
    assert.ok(seen.some((t) => t.side === 'buy') && seen.some((t) => t.side === 'sell'));

    // ccxt fetches the snapshot, joins the buffered events and checks every U against the last u.
    let nonce = 0;
    for (let i = 0; i < 60; i++) {
        const book = await exchange.watchOrderBook(symbol);
        assert.ok(book.nonce >= nonce);
        nonce = book.nonce;
        assertBook(book);
    }
    const fresh = await exchange.fetchOrderBook(symbol, 5);
    assert.ok(fresh.nonce >= nonce && fresh.nonce - nonce < 10000);

    let ticker = await exchange.watchTicker(symbol);
    assert.ok(ticker.last > 0 && ticker.high >= ticker.last && ticker.low <= ticker.last);
    for (let i = 0; i < 20; i++) {
        ticker = (await exchange.watchBidsAsks([symbol]))[symbol];
        assert.ok(ticker.bid < ticker.ask && ticker.bidVolume > 0 && ticker.askVolume > 0);
    }
    const candles = await exchange.watchOHLCV(symbol, '1m');
    const [start, open, high, low, close, volume] = candles[candles.length - 1];
    assert.equal(start % 60000, 0);
    assert.ok(low <= open && open <= high && low <= close && close <= high && volume > 0);

    await exchange.unWatchTrades(symbol);
    await exchange.close();
}

async function ccxtUntrusted(port) {
    const exchange = await ccxtClient(port);
    await assert.rejects(exchange.loadMarkets());
    await exchange.close();
}

function assertBook(book) {
    for (let i = 1; i < book.bids.length; i++) assert.ok(book.bids[i][0] < book.bids[i - 1][0]);
    for (let i = 1; i < book.asks.length; i++) assert.ok(book.asks[i][0] > book.asks[i - 1][0]);
    assert.ok(book.bids[0][0] < book.asks[0][0]);
    assert.ok(book.bids.every(([, amount]) => amount > 0) && book.asks.every(([, amount]) => amount > 0));
}

function assertTrades(trades) {
    for (const trade of trades) {
        assert.ok(trade.price > 0 && trade.amount > 0 && trade.timestamp > 1700000000000);
        const maker = trade.info.m ?? trade.info.isBuyerMaker;
        assert.equal(trade.side, maker ? 'sell' : 'buy');
    }
}

async function binanceClient(port) {
    const { Spot } = await import('@binance/spot');
    return new Spot({
        configurationRestAPI: { basePath: `https://localhost:${port}` },
        configurationWebsocketStreams: { wsURL: `wss://localhost:${port}` },
    });
}

async function binanceRest(port) {
    const { restAPI } = await binanceClient(port);
    const info = await (await restAPI.exchangeInfo({ symbols: ['BTCUSDT', 'ETHUSDT'] })).data();
    assert.deepEqual(info.symbols.map((s) => s.symbol), ['BTCUSDT', 'ETHUSDT']);
    const depth = await (await restAPI.depth({ symbol: 'BTCUSDT', limit: 10 })).data();
    assert.equal(depth.bids.length, 10);
    assert.ok(Number(depth.bids[0][0]) < Number(depth.asks[0][0]));
    const trades = await (await restAPI.getTrades({ symbol: 'BTCUSDT', limit: 5 })).data();
    assert.equal(trades.length, 5);
    const older = await (await restAPI.historicalTrades({ symbol: 'BTCUSDT', fromId: trades[0].id, limit: 5 })).data();
    assert.deepEqual(older, trades);
    const aggs = await (await restAPI.aggTrades({ symbol: 'BTCUSDT', limit: 20 })).data();
    for (let i = 1; i < aggs.length; i++) {
        assert.equal(aggs[i].a, aggs[i - 1].a + 1);
        assert.equal(aggs[i].f, aggs[i - 1].l + 1);
    }
    const candles = await (await restAPI.klines({ symbol: 'BTCUSDT', interval: '1m', limit: 3 })).data();
    assert.equal(candles.length, 3);
    await assert.rejects(restAPI.depth({ symbol: 'NOSUCH' }), /Invalid symbol/);
}

async function binanceStreams(port) {
    const { websocketStreams } = await binanceClient(port);
    const connection = await websocketStreams.connect();
    const take = (stream, count) => new Promise((resolve) => {
        const messages = [];
        stream.on('message', (message) => {
            messages.push(message);
            if (messages.length === count) {
                stream.unsubscribe();
                resolve(messages);
            }
        });
    });
    const trades = await take(connection.trade({ symbol: 'BTCUSDT' }), 30);
    for (let i = 1; i < trades.length; i++) assert.equal(BigInt(trades[i].t), BigInt(trades[i - 1].t) + 1n);
    assert.ok(trades.every((t) => t.e === 'trade' && t.s === 'BTCUSDT' && Number(t.p) > 0));
    await new Promise((resolve) => setTimeout(resolve, 600)); // five messages a second
    const depth = await take(connection.diffBookDepth({ symbol: 'BTCUSDT', updateSpeed: '100ms' }), 10);
    for (let i = 1; i < depth.length; i++) assert.equal(BigInt(depth[i].U), BigInt(depth[i - 1].u) + 1n);
    await new Promise((resolve) => setTimeout(resolve, 600));
    const best = await take(connection.bookTicker({ symbol: 'BTCUSDT' }), 10);
    assert.ok(best.every((b) => Number(b.b) < Number(b.a)));
    await new Promise((resolve) => setTimeout(resolve, 600));
    const [partial] = await take(connection.partialBookDepth({ symbol: 'BTCUSDT', levels: 5, updateSpeed: '100ms' }), 1);
    assert.equal(partial.bids.length, 5);
    await connection.disconnect();
}
