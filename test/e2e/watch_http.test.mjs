// What the recorder says of itself over HTTP while it records: metrics, health, status; and who may ask
// (faults.md, section 5).
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statfsSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join, resolve } from 'node:path';
import { describe, test } from 'node:test';
import { folder, remove, run, runSync, simulate, sleep } from './lib.mjs';
import { end, get, recordWatched } from './watch.mjs';
import { makeWorld } from './world.mjs';

// They wait more than they work: side by side.
describe('over HTTP', { concurrency: 4 }, () => {
test('metrics, health and status tell what is recorded, and that it ends', { timeout: 60000 }, async () => {
  const dir = folder('watch');
  const sim = await simulate(dir, { symbols: 6, rate: 600 });
  const recorder = await recordWatched(sim, `${dir}/data`);
  assert.match(await recorder.green(), /^green\ndata flows on 1 of 1 connections/);
  assert.equal((await recorder.get('/readyz')).status, 200);

  const trades = 'market_data_messages_total{exchange="binance",channel="trades"}';
  const first = await recorder.metrics();
  const second = await recorder.eventually('counted on', async () => {
    const now = await recorder.metrics();
    return now[trades] > (first[trades] ?? 0) && now['market_data_books_whole'] === 6 && now['market_data_journal_sync_seconds_count'] > 0 && now; // no sample yet: none had come
  });
  assert.equal(second['market_data_health'], 0);
  assert.equal(second['market_data_subscriptions_pending{exchange="binance"}'], 0);
  assert.equal(second['market_data_symbols{exchange="binance"}'], 6);
  assert.equal(second['market_data_books_whole'], 6);
  assert.ok(second['market_data_resident_memory_bytes'] > 1e6);
  assert.ok(second['market_data_latency_seconds{exchange="binance",quantile="0.5"}'] >= 0);
  assert.ok(second['market_data_journal_sync_seconds_count'] > 0);
  assert.equal(second['market_data_memory_bytes{line="metrics and page"}'] > 0, true);

  const status = await recorder.eventually('a rate', async () => { // of whole seconds: the first may hold a few only
    const now = await recorder.json();
    return now.rates.messages > 100 && now.health.level === 'green' && now;
  });
  assert.equal(status.health.level, 'green');
  assert.equal(status.connections.length, 1);
  assert.equal(status.connections[0].flows, true);
  await recorder.json('/symbols.json');
  const symbols = await recorder.eventually('symbols', async () => {
    const table = await recorder.json('/symbols.json');
    return table.rows.length === 6 && table.rows.every((row) => row[6] === 'whole') && table;
  });
  assert.ok(symbols.rows.some((row) => row[1] === 'BTCUSDT'));
  await recorder.eventually('a history', async () => {
    const history = await recorder.json('/history.json');
    return history.unix_ms.length >= 3 && history.messages.at(-1) > 0;
  });

  recorder.child.kill('SIGTERM');
  assert.equal((await recorder.exited).code, 0, recorder.stderr);
  assert.equal(recorder.stderr, '');
  await sim.stop();
  remove(dir);
});

test('a venue that is killed: red within seconds, in words, everywhere; green again when it is back', { timeout: 90000 }, async () => {
  const dir = folder('watch');
  const plain = { symbols: 4, rate: 400, args: ['--plain'] }; // a simulator that starts again has a new authority
  let sim = await simulate(dir, plain);
  const recorder = await recordWatched(sim, `${dir}/data`);
  await recorder.eventually('healthy', async () => (await recorder.get('/healthz')).status === 200);
  sim.child.kill('SIGKILL');
  const killed = Date.now();
  await recorder.eventually('unhealthy', async () => (await recorder.get('/healthz')).status === 503, 6);
  await recorder.eventually('red', async () => (await recorder.json()).health.level === 'red', 6);
  assert.ok(Date.now() - killed < 8000);
  const health = (await recorder.json()).health;
  assert.equal(health.conditions[0].name, 'connection_down');
  assert.match(health.headline, /not connected: binance: 1 of 1 connections for \d+ s: the venue could not be reached/);
  assert.match(health.conditions[0].remedy, /network|status page/);
  assert.match((await recorder.get('/healthz')).body, /red connection_down: not connected: binance/);
  const metrics = await recorder.metrics();
  assert.equal(metrics['market_data_condition{condition="connection_down"}'], 1);
  assert.ok(metrics['market_data_reconnects_total{exchange="binance",reason="unreached"}'] >= 1);
  await recorder.until(/error health_connection_down {2}not connected: binance/);
  sim = await simulate(dir, { ...plain, args: ['--plain', '--port', sim.port] });
  await recorder.eventually('healthy again', async () => (await recorder.get('/healthz')).status === 200, 30);
  await recorder.eventually('green again', async () => (await recorder.json()).health.level === 'green', 30);
  await end(dir, recorder, sim);
});

test('an overload: drops are red, in numbers, by exchange and channel', { timeout: 90000 }, async () => {
  const dir = folder('watch');
  const sim = await simulate(dir, { symbols: 30, rate: 6000 });
  const recorder = await recordWatched(sim, `${dir}/data`, ['--set', 'output.queue_capacity=60']);
  const condition = await recorder.eventually('drops', async () => (await recorder.json()).health.conditions.find((c) => c.name === 'queue_drop'), 30);
  assert.equal(condition.level, 'red');
  assert.match(condition.words, /the queue was full: \d+ messages dropped: binance \d+/);
  assert.match(condition.remedy, /fewer symbols or channels/);
  const metrics = await recorder.metrics();
  const dropped = Object.entries(metrics).filter(([name]) => name.startsWith('market_data_dropped_messages_total{exchange="binance"'));
  assert.ok(dropped.length > 0 && dropped.every(([, value]) => value > 0));
  await recorder.until(/error health_queue_drop {2}the queue was full/);
  recorder.child.kill('SIGTERM');
  await recorder.exited;
  const said = Number(/drops +(\d+)/.exec(recorder.stdout)[1]);
  assert.ok(said >= dropped.reduce((sum, [, value]) => sum + value, 0));
  await sim.stop();
  remove(dir);
});

test('a stream that stalls while its connection lives is named', { timeout: 90000 }, async () => {
  const dir = folder('watch');
  // each time it is subscribed again it dies again: whenever the recorder has come up, and looks
  const mutes = Array.from({ length: 30 }, (_, i) => `at ${4 + 2 * i}s mute depth BTCUSDT`).join('\n');
  const sim = await simulate(dir, { symbols: 4, rate: 800, faults: mutes });
  const recorder = await recordWatched(sim, `${dir}/data`, ['--set', 'net.stream_stall_secs=2']);
  const condition = await recorder.eventually('silent', async () =>
    (await recorder.json()).health.conditions.find((c) => c.name === 'streams_silent'), 25);
  assert.match(condition.words, /1 streams should speak and are silent: binance BTCUSDT incremental_book_L2/);
  await recorder.eventually('amber', async () => /amber streams_silent/.test((await recorder.get('/healthz')).body));
  await recorder.until(/warn {2}health_streams_silent/);
  await end(dir, recorder, sim);
});

// What an operator sees of a condition: /status.json, /healthz, /metrics, the log, `status`; all say what to do.
async function seenEverywhere(recorder, name, level, words) {
  const condition = await recorder.eventually(name, async () => (await recorder.json()).health.conditions.find((c) => c.name === name), 30);
  assert.equal(condition.level, level);
  assert.match(condition.words, words);
  assert.ok(condition.remedy.length > 10);
  // a condition may be over for a moment between two looks: a sync of four seconds ends, and the next begins
  await recorder.eventually(`${name} in metrics`, async () => (await recorder.metrics())[`market_data_condition{condition="${name}"}`] === 1);
  await recorder.eventually(`${name} in /healthz`, async () => new RegExp(`${level} ${name}: `).test((await recorder.get('/healthz')).body));
  await recorder.eventually(`${name} in status`, () => new RegExp(`${level} +${name}: `).test(runSync(['status', '--url', recorder.url]).stdout));
  await recorder.until(new RegExp(`health_${name} {2}.*`));
}
const over = (recorder, name, seconds) => recorder.eventually(`${name} over`, async () => !(await recorder.json()).health.conditions.some((c) => c.name === name), seconds);

test('a full disk shows, and that it is over', { timeout: 90000, skip: process.getuid?.() === 0 ? false : 'a small tmpfs takes root' }, async () => {
  const dir = folder('watch');
  mkdirSync(`${dir}/data`);
  assert.equal(spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=16m', 'tmpfs', `${dir}/data`]).status, 0);
  try {
    const sim = await simulate(dir, { symbols: 8, rate: 2000 });
    const recorder = await recordWatched(sim, `${dir}/data`, ['--set', 'memory.queue_bytes=4MiB', '--set', 'output.queue_capacity=20000', '--set', 'output.roll_secs=1']);
    await sleep(2000);
    const { bavail, bsize } = statfsSync(`${dir}/data`);
    try {
      writeFileSync(`${dir}/data/filler`, Buffer.alloc(Math.max(0, bavail * bsize - 65536)));
    } catch (error) { // the recorder took the rest meanwhile
      assert.equal(error.code, 'ENOSPC');
    }
    // landing waits for the journal, or for its scratch file: whichever asked the disk first
    const { name, remedy } = await recorder.eventually('the disk', async () =>
      (await recorder.json()).health.conditions.find((c) => c.name === 'journal_failing' || c.name === 'landing_stuck'), 20);
    assert.match(remedy, /free some space/);
    await seenEverywhere(recorder, name, 'red', /the journal in .* cannot be written|landing has stood still for \d+ s/);
    await seenEverywhere(recorder, 'queue_drop', 'red', /messages dropped: binance \d+/);
    rmSync(`${dir}/data/filler`);
    await over(recorder, name, 30);
    recorder.child.kill('SIGKILL');
    await recorder.exited;
    await sim.stop();
  } finally {
    spawnSync('umount', ['-l', `${dir}/data`]);
    remove(dir);
  }
});

test('a slow disk shows, and that it is over', { timeout: 60000 }, async () => {
  const dir = folder('watch');
  const sim = await simulate(dir, { symbols: 2, rate: 200 });
  const world = makeWorld(dir);
  const recorder = await recordWatched(sim, `${dir}/data`, [], { env: world.env });
  await recorder.eventually('healthy', async () => (await recorder.get('/healthz')).status === 200);
  world.set({ syncMs: 4000 });
  await seenEverywhere(recorder, 'journal_lag', 'amber', /the journal is \d\.\d s ahead of the disk/);
  world.set({ syncMs: 0 });
  await over(recorder, 'journal_lag', 30);
  await end(dir, recorder, sim);
});

// Sends raw bytes, collects the answer until the other side closes.
const raw = (url, bytes, { ms = 15000, keep = false } = {}) => new Promise((done) => {
  const started = Date.now();
  let text = '';
  const socket = net.connect(Number(new URL(url).port), '127.0.0.1', () => socket.write(bytes));
  const timer = setTimeout(() => socket.destroy(), ms);
  socket.on('data', (d) => { text += d; if (!keep && /\r\n\r\n[^]*/.test(text)) socket.end(); });
  socket.on('error', () => {});
  socket.on('close', () => { clearTimeout(timer); done({ text, ms: Date.now() - started }); });
});

test('who may ask: methods, host, headers, sizes, slow requests, many connections', { timeout: 90000 }, async () => {
  const dir = folder('watch');
  const sim = await simulate(dir, { symbols: 2, rate: 50 });
  const recorder = await recordWatched(sim, `${dir}/data`, ['--set', 'http.allow_hosts=recorder.example']);
  const { url } = recorder;
  const slow = raw(url, 'GET / HTTP/1.1\r\nHost: localhost\r\nX-A: ', { ms: 20000 });
  for (const path of ['/', '/metrics', '/status.json', '/healthz', '/page.js', '/nothing']) {
    const { headers } = await recorder.get(path);
    assert.equal(headers['x-content-type-options'], 'nosniff');
    assert.match(headers['content-security-policy'], /^default-src 'none'; script-src 'self';.*frame-ancestors 'none'$/);
    assert.doesNotMatch(headers['content-security-policy'], /unsafe|http|\*/);
    assert.ok(!Object.keys(headers).some((name) => name.startsWith('access-control')));
  }
  assert.equal((await recorder.get('/nothing')).status, 404);
  assert.equal((await recorder.get('/../../etc/passwd')).status, 404);
  for (const method of ['POST', 'PUT', 'DELETE', 'OPTIONS', 'PATCH']) {
    const refused = await recorder.get('/metrics', { method });
    assert.equal(refused.status, 405, method);
    assert.equal(refused.headers.allow, 'GET, HEAD');
  }
  const head = await recorder.get('/metrics', { method: 'HEAD' });
  assert.equal(head.status, 200);
  assert.equal(head.body, '');
  for (const host of ['evil.example', 'localhost.evil.example', '127.0.0.1.nip.example:80']) {
    assert.equal((await recorder.get('/status.json', { headers: { host } })).status, 421, host);
  }
  for (const host of ['localhost:1', 'recorder.example', '127.0.0.1']) {
    assert.equal((await recorder.get('/status.json', { headers: { host } })).status, 200, host);
  }
  assert.match((await raw(url, 'GET /metrics HTTP/1.1\r\n\r\n')).text, /^HTTP\/1.1 4\d\d /);
  const big = await raw(url, `GET /metrics HTTP/1.1\r\nHost: localhost\r\nX: ${'a'.repeat(9000)}\r\n\r\n`);
  assert.match(big.text, /^HTTP\/1.1 431 /);
  assert.match((await raw(url, '\x16\x03\x01\x00\xff garbage \r\n\r\n')).text, /^(HTTP\/1.1 400 [^]*)?$/);

  // as many as there are places, all idle: the next one waits, and is served when they are cut off
  const idle = Array.from({ length: 32 }, () => net.connect(Number(new URL(url).port), '127.0.0.1'));
  idle.forEach((socket) => socket.on('error', () => {}));
  await sleep(300);
  const started = Date.now();
  assert.equal((await recorder.get('/healthz')).body.length > 0, true);
  assert.ok(Date.now() - started < 13000);
  idle.forEach((socket) => socket.destroy());
  const cut = await slow;
  assert.ok(cut.ms > 8000 && cut.ms < 14000, `a request that never ends was cut after ${cut.ms} ms`);
  recorder.child.kill('SIGTERM');
  assert.equal((await recorder.exited).code, 0);
  await sim.stop();
  remove(dir);
});

test('an address that others reach needs a token; the token opens, and is in no output', { timeout: 60000 }, async () => {
  const dir = folder('watch');
  const token = 'marker-0123456789-token';
  const refused = runSync(['check', '--offline', '--set', 'binance.symbols=BTCUSDT', '--set', 'http.listen=0.0.0.0:0']);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /http\.listen: 0\.0\.0\.0:0: others can reach this address: set http\.token_file/);
  const file = join(dir, 'token');
  writeFileSync(file, `${token}\n`, { mode: 0o644 });
  const sim = await simulate(dir, { symbols: 2, rate: 50 });
  const open = run(['record', '--set', `data_dir=${dir}/data`, '--set', 'binance.symbols=all', ...sim.settings, '--set', 'http.listen=127.0.0.1:0', '--set', `http.token_file=${file}`]);
  assert.equal((await open.exited).code, 2);
  assert.match(open.stderr, /http\.token_file: .*: others may read it: chmod 600 it/);
  spawnSync('chmod', ['600', file]);
  const recorder = await recordWatched(sim, `${dir}/data`, ['--set', `http.token_file=${file}`]);
  for (const headers of [{}, { authorization: 'Bearer wrong-token-000000' }, { authorization: `Basic ${Buffer.from('x:no').toString('base64')}` }]) {
    const answer = await recorder.get('/metrics', { headers });
    assert.equal(answer.status, 401);
    assert.match(answer.headers['www-authenticate'], /^Basic realm="market-data"/);
  }
  for (const authorization of [`Bearer ${token}`, `Basic ${Buffer.from(`me:${token}`).toString('base64')}`]) {
    for (const path of ['/', '/metrics', '/status.json', '/healthz']) {
      const answer = await recorder.get(path, { headers: { authorization } });
      assert.notEqual(answer.status, 401);
      assert.ok(!answer.body.includes(token));
    }
  }
  recorder.child.kill('SIGTERM');
  await recorder.exited;
  assert.ok(!(recorder.stdout + recorder.stderr).includes(token));
  const fromEnvironment = await recordWatched(sim, `${dir}/more`, [], { env: { MARKET_DATA_HTTP_TOKEN: token } });
  assert.equal((await fromEnvironment.get('/healthz')).status, 401);
  fromEnvironment.child.kill('SIGTERM');
  await fromEnvironment.exited;
  await sim.stop();
  remove(dir);
});

test('a port that is in use is a warning; off is off', { timeout: 60000 }, async () => {
  const dir = folder('watch');
  const sim = await simulate(dir, { symbols: 2, rate: 50 });
  const first = await recordWatched(sim, `${dir}/a`);
  const second = run(['record', '--set', `data_dir=${dir}/b`, '--set', 'binance.symbols=all', ...sim.settings, '--seconds', '2', '--set', `http.listen=127.0.0.1:${new URL(first.url).port}`]);
  assert.equal((await second.exited).code, 0);
  assert.match(second.stderr, /warn {2}http_port {2}http\.listen: 127\.0\.0\.1 port \d+: Address already in use: no page and no metrics/);
  first.child.kill('SIGTERM');
  await first.exited;
  await assert.rejects(get(first.url, '/healthz'));
  await sim.stop();
  remove(dir);
});

test('docs/metrics.md is made of the table', () => {
  const printed = runSync(['metrics']).stdout;
  const kept = readFileSync(resolve(import.meta.dirname, '../../docs/metrics.md'), 'utf8');
  assert.equal(kept, printed, 'build/market-data metrics > docs/metrics.md');
});
});
