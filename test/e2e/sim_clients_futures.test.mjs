// Clients made by others read the simulated Binance USD-M futures, over its two routes: ccxt pro and the
// venue's own SDK, with nothing changed but their URLs. Each client is a process of its own, as in
// sim_clients.test.mjs.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { test } from 'node:test';
import { fileURLToPath } from 'node:url';

const self = fileURLToPath(import.meta.url);
const clients = { ccxtStreams, sdkRest, sdkStreams, wrongRoute };

if (clients[process.argv[2]]) {
    await clients[process.argv[2]](process.argv[3]);
    process.exit(0);
}

async function runClient(name) {
    const { startSimulator } = await import('./sim.mjs');
    const simulator = await startSimulator({ exchange: 'binance-futures', seed: 7, symbols: 20, rate: 800 });
    try {
        const env = { ...process.env, NODE_EXTRA_CA_CERTS: simulator.ca };
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

for (const name of ['ccxtStreams', 'sdkRest', 'sdkStreams']) {
    test(`${name}: no limit broken, nothing asked for on the wrong route`, async () => {
        const status = await runClient(name);
        assert.equal(status.violations, 0, JSON.stringify(status.violations_by_kind));
        assert.equal(status.control_errors, 0);
        // ccxt numbers its connections in the path (/ws/0), which reads as a stream's name
        assert.equal(status.streams_unknown, name === 'ccxtStreams' ? status.websockets : 0);
    });
}

test('a stream on the wrong route is acknowledged and silent', async () => {
    const status = await runClient('wrongRoute');
    assert.equal(status.streams_unknown, 1);
});

// ---- the clients

async function ccxtStreams(port) {
    const ccxt = (await import('ccxt')).default;
    const exchange = new ccxt.pro.binanceusdm({ options: { fetchMarkets: ['linear'], fetchCurrencies: false, watchOrderBookLimit: 1000 } });
    exchange.has.fetchCurrencies = false;
    for (const name of ['fapiPublic', 'fapiPrivate', 'fapiPublicV2', 'fapiPublicV3']) exchange.urls.api[name] = `https://localhost:${port}/fapi/v1`;
    exchange.urls.api.ws.future = `wss://localhost:${port}/ws`;
    const markets = await exchange.loadMarkets();
    const market = markets['BTC/USDT:USDT'];
    assert.deepEqual([market.id, market.swap, market.linear, market.contractSize, market.precision.price], ['BTCUSDT', true, true, 1, 0.01]);
    const symbol = 'BTC/USDT:USDT';
    const trades = [];
    while (trades.length < 40) trades.push(...(await exchange.watchTrades(symbol)));
    const real = trades.filter((t) => t.info.X !== 'NA'); // placeholder rows reach every client
    assert.ok(real.length > 30 && real.every((t) => t.price > 0 && t.amount > 0 && t.symbol === symbol));
    // ccxt joins the REST snapshot and checks every pu against the last u
    let nonce = 0;
    for (let i = 0; i < 40; i++) {
        const book = await exchange.watchOrderBook(symbol);
        assert.ok(book.nonce >= nonce && book.bids[0][0] < book.asks[0][0]);
        nonce = book.nonce;
    }
    const ticker = await exchange.watchTicker(symbol);
    assert.ok(ticker.last > 0 && ticker.low <= ticker.high);
    const mark = await exchange.watchMarkPrice(symbol);
    assert.ok(Math.abs(mark.markPrice / ticker.last - 1) < 0.1);
    const candles = await exchange.watchOHLCV(symbol, '1m');
    assert.equal(candles.at(-1)[0] % 60000, 0);
    await exchange.close();
}

async function sdk(port) {
    const { DerivativesTradingUsdsFutures } = await import('@binance/derivatives-trading-usds-futures');
    return new DerivativesTradingUsdsFutures({
        configurationRestAPI: { basePath: `https://localhost:${port}` },
        configurationWebsocketStreams: { wsURL: `wss://localhost:${port}` },
    });
}

async function sdkRest(port) {
    const { restAPI } = await sdk(port);
    const info = await (await restAPI.exchangeInformation()).data();
    assert.equal(info.symbols.filter((s) => s.contractType === 'PERPETUAL' && s.status === 'TRADING').length, 20);
    const depth = await (await restAPI.orderBook({ symbol: 'BTCUSDT', limit: 10 })).data();
    assert.equal(depth.bids.length, 10);
    assert.ok(Number(depth.bids[0][0]) < Number(depth.asks[0][0]) && depth.E > 1700000000000);
    const interest = await (await restAPI.openInterest({ symbol: 'BTCUSDT' })).data();
    assert.ok(Number(interest.openInterest) > 0 && interest.symbol === 'BTCUSDT');
    await assert.rejects(restAPI.orderBook({ symbol: 'NOSUCH' }), /Invalid symbol/);
}

async function sdkStreams(port) {
    const { websocketStreams } = await sdk(port);
    const connection = await websocketStreams.connect();
    const take = async (stream, count) => {
        const messages = await new Promise((resolve) => {
            const seen = [];
            stream.on('message', (message) => {
                seen.push(message);
                if (seen.length === count) resolve(seen);
            });
        });
        stream.unsubscribe();
        await new Promise((resolve) => setTimeout(resolve, 300));
        return messages;
    };
    const aggs = await take(connection.aggregateTradeStreams({ symbol: 'BTCUSDT' }), 20);
    for (let i = 1; i < aggs.length; i++) assert.equal(BigInt(aggs[i].a), BigInt(aggs[i - 1].a) + 1n);
    const depth = await take(connection.diffBookDepthStreams({ symbol: 'BTCUSDT', updateSpeed: '100ms' }), 10);
    for (let i = 1; i < depth.length; i++) {
        assert.equal(depth[i].pu, depth[i - 1].u);
        assert.ok(depth[i].U > depth[i].pu + 1); // ids are shared between symbols
    }
    const [mark] = await take(connection.markPriceStream({ symbol: 'BTCUSDT', updateSpeed: '1s' }), 1);
    assert.ok(Number(mark.p) > 0 && Number(mark.i) > 0 && mark.T > Date.now());
    const best = await take(connection.individualSymbolBookTickerStreams({ symbol: 'BTCUSDT' }), 10);
    assert.ok(best.every((b) => Number(b.b) < Number(b.a)));
    const [liquidation] = await take(connection.liquidationOrderStreams({ symbol: 'BTCUSDT' }), 1);
    assert.equal(liquidation.o.s, 'BTCUSDT');
    await connection.disconnect();
}

async function wrongRoute(port) {
    const { default: WebSocket } = await import('ws');
    const socket = new WebSocket(`wss://localhost:${port}/market/stream`);
    const seen = [];
    await new Promise((resolve) => socket.on('open', resolve));
    socket.on('message', (data) => seen.push(JSON.parse(data)));
    socket.send(JSON.stringify({ method: 'SUBSCRIBE', params: ['btcusdt@bookTicker', 'btcusdt@aggTrade'], id: 1 }));
    await new Promise((resolve) => setTimeout(resolve, 2000));
    assert.deepEqual(seen[0], { result: null, id: 1 });
    assert.ok(seen.length > 5 && seen.slice(1).every((message) => message.stream === 'btcusdt@aggTrade'));
    socket.close();
}
