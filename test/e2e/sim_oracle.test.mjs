// The oracle agrees with what the simulator sent, and sees each way in which rows can be wrong.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import os from 'node:os';
import path from 'node:path';
import { after, before, test } from 'node:test';
import WebSocket from 'ws';

import { modelOptions, oracle, startSimulator } from './sim.mjs';

const options = { seed: 42, symbols: 30, rate: 600 };
const names = ['btcusdt', 'ethusdt', 'nearusdt', 'trxusdt', 'atomusdt', 'ltcusdt'];
const header = {
    trades: 'symbol,timestamp,trade_id,side,price,amount,flags',
    depth: 'symbol,timestamp,is_snapshot,side,price,amount,first_update_id,last_update_id',
    book_ticker: 'symbol,update_id,ask_amount,ask_price,bid_price,bid_amount',
};
const rows = { trades: [], depth: [], book_ticker: [] };
let folder;

const rowsOf = {
    trade: (d) => ['trades', [[d.s, d.T * 1000, d.t, d.m ? 'sell' : 'buy', Number(d.p), Number(d.q), 0]]],
    aggTrade: (d) => ['trades', [[d.s, d.T * 1000, d.a, d.m ? 'sell' : 'buy', Number(d.p), Number(d.q), 1]]],
    bookTicker: (d) => ['book_ticker', [[d.s, d.u, Number(d.A), Number(d.a), Number(d.b), Number(d.B)]]],
    'depth@100ms': (d) => ['depth', ['bid', 'ask'].flatMap((side) => d[side[0]].map(
        ([price, amount]) => [d.s, d.E * 1000, false, side, Number(price), Number(amount), d.U, d.u]))],
};

before(async () => {
    folder = mkdtempSync(path.join(os.tmpdir(), 'md-oracle-'));
    const simulator = await startSimulator(options);
    try {
        const streams = names.flatMap((n) => Object.keys(rowsOf).map((kind) => `${n}@${kind}`));
        const socket = new WebSocket(`${simulator.ws}/stream?streams=${streams.join('/')}`, { ca: readFileSync(simulator.ca) });
        socket.on('message', (text) => {
            const { stream, data } = JSON.parse(text);
            const [channel, more] = rowsOf[stream.slice(stream.indexOf('@') + 1)](data);
            rows[channel].push(...more);
        });
        await new Promise((resolve, reject) => {
            socket.on('open', resolve);
            socket.on('error', reject);
        });
        await new Promise((resolve) => setTimeout(resolve, 4000));
        socket.terminate();
        const book = JSON.parse((await simulator.get('/api/v3/depth?symbol=BTCUSDT&limit=1000')).body);
        for (const side of ['bids', 'asks']) {
            for (const [price, amount] of book[side]) {
                rows.depth.push(['BTCUSDT', '', true, side.slice(0, 3), Number(price), Number(amount), '', book.lastUpdateId]);
            }
        }
        assert.equal((await simulator.status()).violations, 0);
    } finally {
        await simulator.stop();
    }
});

after(() => rmSync(folder, { recursive: true, force: true }));

function ask(channel, change = (list) => list, more = {}) {
    const file = path.join(folder, `${channel}.csv`);
    writeFileSync(file, [header[channel], ...change(rows[channel].map((row) => [...row])).map((row) => row.join(','))].join('\n') + '\n');
    const result = spawnSync(oracle, [...modelOptions({ ...options, ...more }), channel, file], { encoding: 'utf8' });
    assert.ok(result.status === 0 || result.status === 1, result.stderr);
    const lines = result.stdout.trimEnd().split('\n');
    return { code: result.status, lines, ...JSON.parse(lines.at(-1)) };
}

const clean = { missing: 0, duplicate: 0, invented: 0, altered: 0 };
const only = (answer, wanted) =>
    assert.deepEqual({ missing: answer.missing, duplicate: answer.duplicate, invented: answer.invented, altered: answer.altered },
        { ...clean, ...wanted }, answer.lines.slice(0, 5).join('\n'));

test('what was sent is what the oracle knows', () => {
    for (const channel of ['trades', 'depth', 'book_ticker']) {
        const answer = ask(channel);
        only(answer, {});
        assert.equal(answer.code, 0);
        assert.equal(answer.rows, rows[channel].length);
        assert.ok(answer.rows > 200, `${channel}: only ${answer.rows} rows`);
        assert.equal(answer.symbols, names.length);
    }
    assert.equal(ask('depth').snapshots, 1);
});

test('rows in another order are the same rows', () => {
    only(ask('trades', (list) => list.reverse()), {});
    only(ask('book_ticker', (list) => list.reverse()), {});
});

test('a missing row is missing, not more', () => {
    const middle = rows.trades.findIndex((r, i) => i > 100 && r[0] === 'BTCUSDT' && r[6] === 0);
    const answer = ask('trades', (list) => list.filter((_, i) => i !== middle));
    only(answer, { missing: 1 });
    assert.equal(answer.code, 0);
    assert.equal(answer.lines[0], `missing BTCUSDT ${rows.trades[middle][2]} ${rows.trades[middle][2]}`);
    const ticker = rows.book_ticker.findIndex((r, i) => i > 100 && r[0] === 'BTCUSDT');
    only(ask('book_ticker', (list) => list.filter((_, i) => i !== ticker)), { missing: 1 });
    const event = rows.depth.find((r, i) => i > 200 && r[0] === 'BTCUSDT' && !r[2]);
    only(ask('depth', (list) => list.filter((r) => r[0] !== event[0] || r[7] !== event[7])),
        { missing: event[7] - event[6] + 1 });
});

test('a row too many is a duplicate', () => {
    only(ask('trades', (list) => [...list, list[7]]), { duplicate: 1 });
    only(ask('book_ticker', (list) => [...list, list[7]]), { duplicate: 1 });
    assert.equal(ask('trades', (list) => [...list, list[7]]).code, 1);
});

test('a changed value is altered', () => {
    const change = (column, value) => (list) => {
        list[50][column] = value(list[50][column]);
        return list;
    };
    only(ask('trades', change(1, (us) => us + 1000)), { altered: 1 });
    only(ask('trades', change(3, (side) => (side === 'buy' ? 'sell' : 'buy'))), { altered: 1 });
    only(ask('trades', change(4, (price) => price * (1 + 1e-12))), { altered: 1 });
    only(ask('trades', change(5, (amount) => amount * 2)), { altered: 1 });
    only(ask('book_ticker', change(4, (price) => price - 1)), { altered: 1 });
    only(ask('depth', change(5, (amount) => amount + 1)), { altered: 1 });
    only(ask('depth', (list) => list.filter((_, i) => i !== list.length - 1990)), { altered: 1 });
});

test('a row of nothing is invented', () => {
    only(ask('trades', (list) => [...list, ['NOSUCH', 1, 1, 'buy', 1, 1, 0]]), { invented: 1 });
    only(ask('depth', (list) => [...list, ['BTCUSDT', '', false, 'bid', 1, 1, 5, 50]]), { invented: 1 });
});

test('another seed knows nothing of it', () => {
    const answer = ask('trades', undefined, { seed: 43 });
    assert.ok(answer.altered + answer.invented > 0.9 * answer.rows);
    assert.equal(answer.code, 1);
});
