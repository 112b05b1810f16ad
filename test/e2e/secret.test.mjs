// No secret leaves the program: not to output, log, metrics, page, journal, files or core.
import test from 'node:test';
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import http from 'node:http';
import net from 'node:net';
import { join } from 'node:path';
import { files, folder, program, remove, run, runSync, simulate, sleep } from './lib.mjs';

const freePort = () => new Promise((done) => {
  const server = net.createServer().listen(0, '127.0.0.1', () => { const { port } = server.address(); server.close(() => done(port)); });
});
const get = (port, path, token) => new Promise((done, fail) => {
  http.get({ host: '127.0.0.1', port, path, headers: token ? { Authorization: `Bearer ${token}` } : {} }, (response) => {
    let body = '';
    response.on('data', (d) => { body += d; if (body.length > 1 << 16) response.destroy(); });
    response.on('close', () => done({ status: response.statusCode, body }));
    if (path === '/events') setTimeout(() => response.destroy(), 1500);
  }).on('error', fail);
});
const cores = (dir) => readdirSync(dir).filter((name) => name.startsWith('core'));
const corePattern = readFileSync('/proc/sys/kernel/core_pattern', 'utf8').trim();

test('a key, a token and a proxy password are nowhere but where they belong', { timeout: 120000 }, async () => {
  const dir = folder('secret');
  const key = `key-${randomBytes(12).toString('hex')}`;
  const token = `token-${randomBytes(12).toString('hex')}`;
  const password = `word-${randomBytes(12).toString('hex')}`;
  const secrets = [key, token, password];
  const seen = [];
  const sim = await simulate(dir, { symbols: 4, rate: 400, faults: 'after 2s conn 1 reset\nat 3s corrupt trade\n' });
  const port = await freePort();
  const work = join(dir, 'work');
  mkdirSync(work);
  const args = ['record', '--set', `data_dir=${dir}/data`, '--set', `binance.symbols=${sim.symbols}`, ...sim.settings,
    '--set', 'binance.feed=sbe', '--set', `binance.sbe_url=wss://127.0.0.1:${sim.port}/sbe`, '--set', `http.listen=127.0.0.1:${port}`,
    '--set', 'log.level=debug', '--set', 'log.format=json', '--set', `log.file=${dir}/log`, '--set', 'journal.keep=1'];
  const command = (more) => ['-c', `cd ${work}; ulimit -c unlimited; exec "$@"`, 'sh', program, ...args, ...more];
  const env = { MARKET_DATA_BINANCE_API_KEY: key, MARKET_DATA_HTTP_TOKEN: token };
  const recorder = run(command([]), { command: 'sh', env });
  await recorder.until(/recording/);
  await sleep(5000);
  for (const path of ['/', '/metrics', '/status.json', '/symbols.json', '/history.json', '/healthz', '/events', '/nothing']) {
    seen.push(JSON.stringify(await get(port, path)), JSON.stringify(await get(port, path, token)));
  }
  const pid = recorder.child.pid;
  seen.push(readFileSync(`/proc/${pid}/cmdline`, 'utf8'));
  assert.ok(!readFileSync(`/proc/${pid}/environ`, 'utf8').includes(key), 'the key is taken out of the environment');
  recorder.child.kill('SIGABRT');
  assert.equal((await recorder.exited).signal, 'SIGABRT');
  assert.deepEqual(cores(work), [], 'no core dump holds it');
  seen.push(recorder.stdout, recorder.stderr);

  // a second life lands what was left; proxy and wrong keys are refused in words
  const second = run(command(['--seconds', '2']), { command: 'sh', env });
  assert.equal((await second.exited).code, 0, second.stderr);
  seen.push(second.stdout, second.stderr);
  const proxied = runSync([...args.slice(0, 3), '--set', 'binance.symbols=BTC*', '--set', `net.proxy=http://me:${password}@127.0.0.1:${await freePort()}`, '--seconds', '1'].map((word) => (word === 'record' ? 'check' : word)));
  assert.notEqual(proxied.code, 0);
  const config = runSync(['config', '--set', `net.proxy=http://me:${password}@127.0.0.1:1`, ...args.slice(1)], { env });
  writeFileSync(join(dir, 'key'), `${key}\nand another line\n`, { mode: 0o600 });
  const wrong = runSync(['check', '--set', 'binance.symbols=BTCUSDT', ...sim.settings, '--set', 'binance.feed=sbe', '--set', `binance.api_key_file=${dir}/key`]);
  assert.equal(wrong.code, 2);
  assert.match(wrong.stderr, /key: not usable: one line of at least 1 letters/);
  for (const result of [proxied, config, wrong]) seen.push(result.stdout, result.stderr);
  const journal = runSync(['journal', 'cat', `${dir}/data/journal`]);
  assert.match(journal.stdout, /\trecv/);
  seen.push(journal.stdout, readFileSync(join(dir, 'log'), 'utf8'));

  for (const secret of secrets) {
    for (const text of seen) assert.ok(!text.includes(secret), text.slice(Math.max(0, text.indexOf(secret) - 200), text.indexOf(secret) + 60));
    for (const file of files(join(dir, 'data'))) assert.ok(!readFileSync(file).includes(secret), file);
  }
  assert.ok(seen.join('').length > 100000, 'there was something to look at');
  await sim.stop();
  remove(dir);
});

test('control: a process without a secret does leave a core dump here', { skip: corePattern === 'core' ? false : `core_pattern is ${corePattern}` }, async () => {
  const dir = folder('secret-control');
  const sim = await simulate(dir, { symbols: 2, rate: 50 });
  const recorder = run(['-c', `cd ${dir}; ulimit -c unlimited; exec "$@"`, 'sh', program, 'record', '--set', `data_dir=${dir}/data`, '--set', `binance.symbols=${sim.symbols}`, ...sim.settings], { command: 'sh' });
  await recorder.until(/recording/);
  recorder.child.kill('SIGABRT');
  await recorder.exited;
  const limit = spawnSync('sh', ['-c', 'ulimit -c unlimited && ulimit -c'], { encoding: 'utf8' }).stdout.trim();
  if (limit === 'unlimited') assert.equal(cores(dir).length, 1);
  await sim.stop();
  remove(dir);
});
