// What the end-to-end tests share: the simulator and the recorder as child processes, and DuckDB over
// what landed. Everything talks to 127.0.0.1 and is ended by its own pid.
import { spawn, spawnSync } from 'node:child_process';
import { after } from 'node:test';
import { mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import https from 'node:https';
import { tmpdir } from 'node:os';
import { dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';

const here = dirname(fileURLToPath(import.meta.url));
export const build = process.env.MD_BUILD ?? resolve(here, '../../build');
export const program = process.env.MD_PROGRAM ?? join(build, 'market-data');
export const long = process.env.MD_LONG === '1';

process.env.MARKET_DATA_HTTP_LISTEN ??= 'off'; // tests run side by side; those of the page say otherwise

const children = new Set();
const endAll = () => { for (const child of children) child.kill('SIGKILL'); };
process.on('exit', endAll);
after(endAll); // a test that failed leaves none behind

export function folder(name) {
  return mkdtempSync(join(tmpdir(), `md-${name}-`));
}

export function remove(dir) {
  rmSync(dir, { recursive: true, force: true });
}

// A child with its output gathered; `exited` resolves to { code, signal }.
export function run(args, { env = {}, command = program, before = [], input } = {}) {
  const child = spawn(command, [...before, ...args], { env: { ...process.env, ...env }, stdio: ['pipe', 'pipe', 'pipe'] });
  const self = { child, stdout: '', stderr: '' };
  children.add(child);
  child.stdout.on('data', (d) => { self.stdout += d; self.onOutput?.(); });
  child.stderr.on('data', (d) => { self.stderr += d; self.onOutput?.(); });
  child.stdin.end(input);
  self.ended = self.exited = new Promise((done) => child.on('close', (code, signal) => {
    children.delete(child);
    done({ code, signal });
  }));
  self.until = (pattern, ms = 15000) => new Promise((done, fail) => {
    const timer = setTimeout(() => fail(new Error(`no ${pattern} within ${ms} ms:\n${self.stdout}${self.stderr}`)), ms);
    const look = () => {
      const found = pattern.exec(self.stdout) ?? pattern.exec(self.stderr);
      if (found) { clearTimeout(timer); self.onOutput = undefined; done(found); }
    };
    self.ended.then(() => { look(); clearTimeout(timer); fail(new Error(`ended before ${pattern}:\n${self.stdout}${self.stderr}`)); });
    self.onOutput = look;
    look();
  });
  return self;
}

export function runSync(args, options = {}) {
  const { command = program, ...rest } = options;
  const result = spawnSync(command, args, { encoding: 'utf8', maxBuffer: 1 << 28, timeout: 120000, ...rest,
    env: { ...process.env, ...options.env } });
  return { code: result.status, signal: result.signal, stdout: result.stdout, stderr: result.stderr };
}

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

export async function simulate(dir, { exchange = 'binance', symbols = 20, rate = 2000, seed = 7, faults, args = [] } = {}) {
  const ca = join(dir, `ca-${exchange}.pem`);
  const all = ['simulate', '--exchange', exchange, '--symbols', symbols, '--rate', rate, '--seed', seed, '--ca-file', ca, ...args].map(String);
  if (faults) {
    writeFileSync(join(dir, 'faults.txt'), faults);
    all.push('--faults', join(dir, 'faults.txt'));
  }
  const self = run(all);
  self.port = Number((await self.until(/ready port=(\d+)/))[1]);
  self.ca = ca;
  await self.until(/--set net\.ca_file=/);
  self.exchange = exchange;
  self.section = exchange.replace('gate-io', 'gate').replace('-', '_');
  self.settings = [...self.stdout.matchAll(/--set (\S+)/g)].filter(([, pair]) => !args.includes('--plain') || !pair.startsWith('net.ca_file'))
    .flatMap(([, pair]) => ['--set', pair]);
  self.settings.push('--set', 'net.backoff_min_ms=50', '--set', 'net.backoff_max_ms=400');
  self.status = () => new Promise((done, fail) => {
    https.get({ host: '127.0.0.1', port: self.port, path: '/sim/status', ca: readFileSync(ca) }, (response) => {
      let body = '';
      response.on('data', (d) => { body += d; });
      response.on('end', () => done(JSON.parse(body)));
    }).on('error', fail);
  });
  // by name, so that a restart does not depend on the venue's list (it may throttle many restarts)
  self.symbols = symbolsOf(self).join(',');
  self.stop = async () => { self.child.kill('SIGTERM'); return self.exited; };
  return self;
}

export function symbolsOf(sim) {
  const listed = runSync(['symbols', sim.exchange, ...sim.settings]);
  if (listed.code !== 0) throw new Error(listed.stderr);
  return listed.stdout.split('\n').filter((line) => line && !line.includes('\t'));
}

// What the process may hold beyond the plan: the program's and the libraries' code, and the C library's own.
export const beyondPlanBytes = 16 << 20;

const bytesOf = (text) => {
  const [, number, unit] = /^([\d.]+) (B|KiB|MiB)$/.exec(text);
  return Number(number) * { B: 1, KiB: 1024, MiB: 1 << 20 }[unit];
};

// Every recorder that tells its summary kept to its plan: { peak, planned, allowed } in bytes.
export function budgetOf(recorder) {
  const found = /^ {2}memory +peak (.+); planned (.+) of (.+) allowed$/m.exec(recorder.stdout);
  if (!found) return undefined; // killed, or ended before there was a plan
  const [peak, planned, allowed] = found.slice(1).map(bytesOf);
  if (peak > planned + beyondPlanBytes) throw new Error(`memory: peak ${found[1]}, planned ${found[2]}\n${recorder.stdout}`);
  const overdrawn = /^ {4}.+: took .+, planned were .+$/m.exec(recorder.stdout);
  if (overdrawn) throw new Error(`memory: a line took more than planned:\n${overdrawn[0]}\n${recorder.stdout}`);
  return { peak, planned, allowed };
}

export function record(sim, dir, args = [], options = {}) {
  const recorder = recordUnchecked(sim, dir, args, options);
  recorder.exited = recorder.exited.then((ended) => { budgetOf(recorder); return ended; });
  recorder.exited.catch(() => {}); // whoever awaits it sees it
  return recorder;
}

function recordUnchecked(sim, dir, args, options) {
  return run(['record', '--set', `data_dir=${dir}`, '--set', `${sim.section}.symbols=${sim.symbols ?? 'all'}`, ...sim.settings, ...args.map(String)], options);
}

export function files(dir) {
  const found = [];
  for (const entry of readdirSync(dir, { recursive: true, withFileTypes: true })) {
    if (entry.isFile()) found.push(join(entry.parentPath ?? entry.path, entry.name));
  }
  return found.sort();
}

let connection;
export async function query(sql) {
  connection ??= await (await DuckDBInstance.create()).connect();
  return (await connection.runAndReadAll(sql)).getRowObjectsJson();
}

export const table = (dir, channel) => `read_parquet('${dir}/exchange=*/channel=${channel}/**/*.parquet', hive_partitioning = false)`;

export function channels(dir) {
  const found = new Set();
  for (const file of files(dir)) {
    const channel = /channel=([^/]+)\/.*\.parquet$/.exec(file);
    if (channel && !file.includes('.inprogress-')) found.add(channel[1]);
  }
  return [...found].sort();
}

// Rows of a that are not in b and the other way round, duplicates counted.
export async function difference(a, b, channel) {
  const [row] = await query(`SELECT count(*) AS n FROM (
    (SELECT * FROM ${table(a, channel)} EXCEPT ALL SELECT * FROM ${table(b, channel)}) UNION ALL
    (SELECT * FROM ${table(b, channel)} EXCEPT ALL SELECT * FROM ${table(a, channel)}))`);
  return Number(row.n);
}
