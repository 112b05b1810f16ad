// whole.mjs [OUT_DIR]: the whole way, socket to sealed Parquet with the journal on: a simulator sends as fast
// as it can over TLS, the recorder (a process of its own) records; its own processor time per message and its
// peak memory, medians of three. Also 1,000 symbols within memory.budget=64MiB.
import { spawn, spawnSync } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const out = process.argv[2] ?? 'build/bench';
const program = process.env.MD_PROGRAM ?? 'build/market-data';

async function one({ symbols, rate, channels, seconds, settings = [] }) {
  const dir = mkdtempSync(join(tmpdir(), 'md-bench-'));
  const ca = join(dir, 'ca.pem');
  const sim = spawn(program, ['simulate', '--symbols', symbols, '--rate', rate, '--ca-file', ca].map(String));
  const port = await new Promise((done) => sim.stdout.on('data', (d) => { const m = /ready port=(\d+)/.exec(d); if (m) done(m[1]); }));
  const set = ['data_dir=' + join(dir, 'd'), 'binance.symbols=all', 'binance.channels=' + channels, 'net.ca_file=' + ca,
    `binance.ws_url=wss://127.0.0.1:${port}`, `binance.rest_url=https://127.0.0.1:${port}`, ...settings].flatMap((s) => ['--set', s]);
  const run = spawnSync(program, ['record', '--seconds', String(seconds), ...set], { encoding: 'utf8' });
  sim.kill('SIGTERM');
  rmSync(dir, { recursive: true, force: true });
  if (run.status !== 0) throw new Error(run.stdout + run.stderr);
  const number = (pattern) => Number(pattern.exec(run.stdout)?.[1]);
  return {
    messages: number(/messages +(\d+)/), rows: number(/rows +(\d+)/), per_s: number(/, (\d+) a second/),
    cpu_us_a_message: number(/, ([\d.]+) us a message/), peak_mib: number(/peak ([\d.]+) MiB/), planned_mib: number(/planned ([\d.]+) MiB/),
    drops: number(/drops +(\d+)/),
  };
}

const median = (runs, key) => runs.map((r) => r[key]).sort((a, b) => a - b)[Math.floor(runs.length / 2)];
const cases = {
  'small messages: trades, 20 symbols': { symbols: 20, rate: 60000, channels: 'trades', seconds: 6 },
  'trades, book ticker, depth, 50 symbols': { symbols: 50, rate: 12000, channels: 'trades,book_ticker,incremental_book_L2', seconds: 6 },
  '1,000 symbols in 64 MiB': { symbols: 1000, rate: 6000, channels: 'trades,book_ticker,incremental_book_L2', seconds: 12,
    settings: ['memory.budget=64MiB', 'memory.queue_bytes=8MiB', 'output.parquet_batch_size=5000', 'memory.book_bytes=8MiB'] },
};
const results = {};
console.log('case'.padEnd(44), 'messages/s'.padStart(11), 'us/message'.padStart(11), 'peak MiB'.padStart(9), 'planned'.padStart(9), 'drops'.padStart(7));
for (const [name, options] of Object.entries(cases)) {
  const runs = [];
  for (let i = 0; i < 3; i++) runs.push(await one(options));
  const figures = Object.fromEntries(Object.keys(runs[0]).map((key) => [key, median(runs, key)]));
  results[name] = { median: figures, runs };
  console.log(name.padEnd(44), String(figures.per_s).padStart(11), figures.cpu_us_a_message.toFixed(2).padStart(11),
    figures.peak_mib.toFixed(1).padStart(9), figures.planned_mib.toFixed(1).padStart(9), String(figures.drops).padStart(7));
}
writeFileSync(join(out, 'whole.json'), JSON.stringify(results, null, 1) + '\n');
