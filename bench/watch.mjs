// watch.mjs [OUT_DIR]: what it costs the recorder to be watched: the same load of about 20,000 messages a second
// with http.listen=off and with the page open in a real Chromium (its table of symbols in sight) and /metrics asked
// for every 5 s, in turn, five times each. The browser is as busy in both: in the first its page is that of another,
// nearly idle recorder. Processor time of the process and of its watch thread from /proc/PID/task/*/schedstat; medians.
import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createRequire } from 'node:module';
import http from 'node:http';
import { tmpdir } from 'node:os';
import { join, resolve } from 'node:path';

const out = process.argv[2] ?? 'build/bench';
const program = process.env.MD_PROGRAM ?? 'build/market-data';
const seconds = 12;
const rounds = 5;
const executablePath = ['/usr/bin/chromium', '/usr/bin/chromium-browser'].find(existsSync);
const sleep = (ms) => new Promise((done) => setTimeout(done, ms));
const until = (child, pattern) => new Promise((done, fail) => {
  let text = '';
  child.stdout.on('data', (d) => { text += d; const found = pattern.exec(text); if (found) done(found[1]); });
  child.on('close', () => fail(new Error(text)));
});

// ns of processor time by thread name
function times(pid) {
  const found = {};
  for (const task of readdirSync(`/proc/${pid}/task`)) {
    const name = readFileSync(`/proc/${pid}/task/${task}/comm`, 'utf8').trim();
    found[name] = (found[name] ?? 0) + Number(readFileSync(`/proc/${pid}/task/${task}/schedstat`, 'utf8').split(' ')[0]);
  }
  return found;
}
const sum = (map) => Object.values(map).reduce((a, b) => a + b, 0);
const get = (url) => new Promise((done, fail) => {
  http.get(url, (answer) => { let n = 0; answer.on('data', (d) => { n += d.length; }); answer.on('end', () => done(n)); }).on('error', fail);
});

const dir = mkdtempSync(join(tmpdir(), 'md-bench-'));
async function simulator(rate) {
  const self = spawn(program, ['simulate', '--symbols', '200', '--rate', String(rate), '--plain']);
  self.port = await until(self, /ready port=(\d+)/);
  return self;
}
const sim = await simulator(12500);
const quiet = await simulator(5);
const { chromium } = createRequire(resolve('test/e2e/package.json'))('playwright-core');
const browser = await chromium.launch({ executablePath, args: ['--no-sandbox'] });

async function start(name, port, listen) {
  const data = join(dir, name);
  const set = [`data_dir=${data}`, 'binance.symbols=all', `binance.ws_url=ws://127.0.0.1:${port}`, `binance.rest_url=http://127.0.0.1:${port}`,
    'output.parquet_batch_size=5000', 'output.parquet_max_open_files=256', 'binance.channels=trades,book_ticker,incremental_book_L2', `http.listen=${listen}`];
  const self = spawn(program, ['record', ...set.flatMap((s) => ['--set', s])]);
  self.data = data;
  self.url = listen === 'off' ? await until(self, /(recording);/) : await until(self, /page and metrics: (\S+)/);
  return self;
}
const idle = await start('idle', quiet.port, '127.0.0.1:0');

async function one(watched) {
  const recorder = await start('d', sim.port, watched ? '127.0.0.1:0' : 'off');
  const { url } = watched ? recorder : idle;
  const page = await browser.newPage({ viewport: { width: 1280, height: 900 } });
  await page.goto(url);
  await page.locator('#symbols').scrollIntoViewIfNeeded();
  const timer = setInterval(() => get(`${url}metrics`).catch(() => {}), 5000);
  await sleep(6000);
  const before = times(recorder.pid);
  await sleep(seconds * 1000);
  const after = times(recorder.pid);
  clearInterval(timer);
  await page.close();
  let text = '';
  recorder.stdout.on('data', (d) => { text += d; });
  recorder.kill('SIGTERM');
  await new Promise((done) => recorder.on('close', done));
  rmSync(recorder.data, { recursive: true, force: true });
  const rate = Number(/, (\d+) a second/.exec(text)[1]);
  const threads = Object.fromEntries(Object.keys(after).map((name) => [name, (after[name] - (before[name] ?? 0)) / seconds / 1e6]));
  return { rate, cpu_ms_a_second: sum(threads), watch_ms_a_second: threads.watch, us_a_message: sum(threads) * 1000 / rate, threads };
}

const runs = { off: [], watched: [] };
for (let i = 0; i < rounds; i++) {
  runs.off.push(await one(false));
  runs.watched.push(await one(true));
}
await browser.close();
for (const child of [idle, sim, quiet]) child.kill('SIGKILL');
await sleep(500);
rmSync(dir, { recursive: true, force: true });
const median = (list, key) => list.map((r) => r[key]).sort((a, b) => a - b)[Math.floor(list.length / 2)];
const figures = Object.fromEntries(Object.entries(runs).map(([name, list]) => [name, Object.fromEntries(['rate', 'cpu_ms_a_second', 'watch_ms_a_second', 'us_a_message'].map((key) => [key, median(list, key)]))]));
console.log(''.padEnd(10), 'messages/s'.padStart(11), 'ms/s, process'.padStart(14), 'ms/s, its watch thread'.padStart(23), 'us a message'.padStart(13));
for (const [name, f] of Object.entries(figures)) {
  console.log(name.padEnd(10), String(f.rate).padStart(11), f.cpu_ms_a_second.toFixed(1).padStart(14), f.watch_ms_a_second.toFixed(2).padStart(23), f.us_a_message.toFixed(3).padStart(13));
}
const share = figures.watched.watch_ms_a_second / figures.watched.cpu_ms_a_second * 100;
const difference = (figures.watched.us_a_message / figures.off.us_a_message - 1) * 100;
console.log(`the watch thread takes ${share.toFixed(2)} % of the watched process; a message costs ${difference.toFixed(2)} % more than with it off`);
writeFileSync(join(out, 'watch.json'), JSON.stringify({ figures, share_percent: share, difference_percent: difference, runs }, null, 1) + '\n');
