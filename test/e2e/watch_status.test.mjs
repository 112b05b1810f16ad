// `market-data status`: what the page says, in a terminal; plain when piped, --json for scripts.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import http from 'node:http';
import { describe, test } from 'node:test';
import { folder, program, remove, run, runSync, simulate } from './lib.mjs';
import { recordWatched } from './watch.mjs';

// They wait more than they work: side by side.
describe('status', { concurrency: 4 }, () => {
test('plain, JSON, and live in a terminal until q', { timeout: 120000 }, async () => {
  const dir = folder('status');
  const sim = await simulate(dir, { symbols: 4, rate: 300, args: ['--plain'] });
  const recorder = await recordWatched(sim, `${dir}/data`);
  await recorder.green();

  const plain = await recorder.eventually('all of it subscribed', () => {
    const said = runSync(['status', '--url', recorder.url]);
    assert.equal(said.code, 0, said.stderr);
    return /^green/.test(said.stdout) && / 12\/ +12 /.test(said.stdout) && / binance +\d+ +[\d.]+ m?s +[\d.]+ m?s /.test(said.stdout) && said;
  });
  assert.match(plain.stdout, /^green {2}market-data \d+\.\d+\.\d+, md, up \d+ s\ndata flows on 1 of 1 connections/);
  assert.match(plain.stdout, /now +\d+ messages\/s/);
  assert.match(plain.stdout, /\n {2}binance +\d+ +[\d.]+ m?s +[\d.]+ m?s +12\/ +12 /);
  assert.match(plain.stdout, /\n {2}binance +json +data flows/);
  assert.doesNotMatch(plain.stdout, /\x1b/);
  await recorder.eventually('green as JSON', () => {
    const json = runSync(['status', '--json', '--url', recorder.url]);
    assert.equal(json.code, 0);
    return JSON.parse(json.stdout).health.level === 'green';
  });
  const byListen = runSync(['status', '--set', `http.listen=127.0.0.1:${new URL(recorder.url).port}`]);
  assert.equal(byListen.code, 0, byListen.stderr);

  // a terminal of its own
  const terminal = spawn('script', ['-qfec', `${program} status --url ${recorder.url}`, '/dev/null'], { stdio: ['pipe', 'pipe', 'inherit'], env: { ...process.env, TERM: 'xterm' } });
  let screen = '';
  terminal.stdout.on('data', (d) => { screen += d; });
  const ended = new Promise((done) => terminal.on('close', done));
  const drawn = () => screen.split('q quits').length - 1;
  await recorder.eventually('drawn three times', () => drawn() >= 3, 30);
  await recorder.eventually('green in the terminal', () => /\x1b\[1;32mgreen\x1b\[0m/.test(screen), 30);
  const totals = () => [...screen.matchAll(/in all +(\d+) messages/g)].map(([, n]) => Number(n));
  await recorder.eventually('messages counted on', () => totals().at(-1) > totals()[0], 30);
  sim.child.kill('SIGKILL');
  await recorder.eventually('red in the terminal', () => /\x1b\[1;31mred\x1b\[0m[^]*connection_down[^]*What|\x1b\[1;31mred\x1b\[0m[^]*not connected: binance/.test(screen), 30);
  terminal.stdin.write('q');
  assert.equal(await ended, 0);
  assert.ok(screen.endsWith('\x1b[?25h\x1b[?1049l'), 'the screen is given back');

  const red = runSync(['status', '--url', recorder.url]);
  assert.equal(red.code, 1);
  assert.match(red.stdout, /red +connection_down: not connected: binance/);
  assert.equal(runSync(['status', '--json', '--url', recorder.url]).code, 1);
  recorder.child.kill('SIGTERM');
  await recorder.exited;
  const gone = runSync(['status', '--url', recorder.url]);
  assert.equal(gone.code, 7);
  assert.match(gone.stderr, /is the recorder running\?/);
  remove(dir);
});

test('words from outside are printed, not obeyed; other servers are refused', { timeout: 30000 }, async () => {
  const evil = '\x1b]0;owned\x07\x1b[2Jé\n';
  const status = { recorder: evil, version: evil, uptime_s: 1, health: { level: 'amber', headline: evil, conditions: [{ name: evil, level: evil, words: evil, remedy: evil }] },
    exchanges: [{ exchange: evil, latency_ms: { count: 0 } }], connections: [{ exchange: evil, endpoint: evil, state: evil, why: evil, flows: false }], log: [{ unix_ms: 0, level: evil, kind: evil, message: evil }] };
  let body = JSON.stringify(status);
  const server = http.createServer((request, response) => response.end(body));
  await new Promise((done) => server.listen(0, '127.0.0.1', done));
  const url = `http://127.0.0.1:${server.address().port}`;
  const show = async (args = []) => {
    const child = run(['status', '--url', url, ...args]);
    return { ...(await child.exited), stdout: child.stdout, stderr: child.stderr };
  };
  const shown = await show();
  assert.equal(shown.code, 0, shown.stderr);
  assert.match(shown.stdout, /\\x1B\]0;owned\\x07/);
  assert.doesNotMatch(shown.stdout, /[^\x20-\x7e\n]/);
  for (const wrong of ['', '[]', '{}', '{"health":1}', 'x'.repeat(3 << 20), '{"health":{"level":']) {
    body = wrong;
    const refused = await show();
    assert.notEqual(refused.code, 0, wrong.slice(0, 20));
    assert.match(refused.stderr, /not a recorder's status|larger|status\.json/);
  }
  body = '{"health":{}}'; // empty, but of the shape
  assert.equal((await show()).code, 0);
  server.close();
});
});
