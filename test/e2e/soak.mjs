// The soak: many symbols, three channels, several "hours", within memory.budget=128MiB. The hour is scaled by
// output.roll_secs: it closes every partition by the same code that closes them at the hour (file_period_end(),
// spread over the time after it); the hour's own edge is in test/unit/store. soak.test.mjs runs a short one, `make
// soak` the long one.
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, readdirSync, rmdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { tableFromIPC } from 'apache-arrow';
import pl from 'nodejs-polars';
import { beyondPlanBytes, budgetOf, files, query, record, runSync, simulate, sleep } from './lib.mjs';

const MiB = 1 << 20;

// Resident bytes of a process, and of what in it is not file pages.
function residentBytes(pid) {
  const status = readFileSync(`/proc/${pid}/status`, 'utf8');
  const kib = (key) => Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(status)?.[1] ?? 0);
  return { all: kib('VmRSS') * 1024, own: kib('RssAnon') * 1024 };
}

// Records from a simulator; returns { recorder, samples, status }. `start(command, args)` may put the recorder
// somewhere (a control group).
export async function soak(dir, { symbols, rate, seconds, rollSecs, budget = '128MiB', settings = [], onStart }) {
  const sim = await simulate(dir, { symbols, rate });
  const args = ['--set', `memory.budget=${budget}`, '--set', `output.roll_secs=${rollSecs}`, '--set', 'output.parquet_batch_size=5000',
    '--set', 'binance.channels=trades,book_ticker,incremental_book_L2', ...settings.flatMap((pair) => ['--set', pair]), '--seconds', seconds];
  const recorder = record(sim, `${dir}/data`, args);
  onStart?.(recorder.child.pid);
  const samples = [];
  await recorder.until(/recording;/);
  const timer = setInterval(() => {
    try { samples.push(residentBytes(recorder.child.pid)); } catch { /* it has just ended */ }
  }, 500);
  let ended;
  try { ended = await recorder.exited; } finally { clearInterval(timer); }
  const status = await sim.status();
  await sim.stop();
  assert.ok(ended.code === 0 || ended.code === 4, recorder.stdout + recorder.stderr); // 4: sealing outlasted the drain
  return { sim, recorder, samples, status, args };
}

// What the drain did not seal, the next starts do, without the venue. With the same symbols: a plan for fewer has no
// room for the streams of the journal.
export async function sealRest(dir, { sim, recorder, args }) {
  let starts = 0;
  if (/not everything is sealed/.test(recorder.stderr)) {
    for (let code = 4; code === 4; starts++) {
      assert.ok(starts < 40, 'the rest is not sealed after 40 starts');
      const again = runSync(['record', '--offline', ...sim.settings, ...args, '--set', `data_dir=${dir}/data`, '--set', `binance.symbols=${sim.symbols}`, '--seconds', '1']);
      code = again.code;
      assert.ok(code === 0 || code === 4, again.stderr);
    }
  }
  return starts;
}

// Memory did not go on growing: what it had after the first roll is what it has at the end, but for a little.
export function assertFlat(samples, slack = 4 * MiB) {
  assert.ok(samples.length >= 9, `${samples.length} samples`);
  const third = Math.floor(samples.length / 3);
  const most = (part) => Math.max(...part.map((one) => one.own));
  const middle = most(samples.slice(third, 2 * third));
  const last = most(samples.slice(2 * third));
  assert.ok(last <= middle + slack, `memory grew from ${middle / MiB} to ${last / MiB} MiB`);
  return { middle, last };
}

export function assertWithin(recorder, budgetBytes) {
  const { peak, planned, allowed } = budgetOf(recorder);
  assert.equal(allowed, budgetBytes);
  assert.ok(planned <= allowed);
  assert.ok(peak <= allowed + beyondPlanBytes, `${peak} of ${allowed}`);
  return { peak, planned };
}

// ---- the files

// Every sealed file has its manifest line and the other way round; nothing is under way.
export function assertSealed(data) {
  const all = files(data);
  assert.deepEqual(all.filter((file) => file.includes('.inprogress-')), []);
  const lines = all.filter((file) => file.startsWith(`${data}/manifest/`)).flatMap((file) => readFileSync(file, 'utf8').split('\n'))
    .filter((line) => line.includes('"path"')).map((line) => JSON.parse(line));
  const parquet = all.filter((file) => file.endsWith('.parquet')).map((file) => file.slice(data.length + 1));
  assert.deepEqual(lines.map((line) => line.path).sort(), parquet.sort());
  return parquet;
}

const doubles = { trades: ['price', 'amount'], book_ticker: ['bid_price', 'ask_price'], incremental_book_L2: ['price', 'amount'] };
const channelOf = (file) => /channel=([^/]+)/.exec(file)[1];

// Rows, the sum of local_seq, and the least and most of the doubles: the same words from each reader.
const words = (rows, seqs, extremes) => `${rows} ${seqs} ${extremes.join(' ')}`;

async function duckdbWords(data, channel) {
  const [a, b] = doubles[channel];
  const rows = await query(`SELECT filename, count(*) AS n, sum(local_seq) AS s, min(${a}) AS a, max(${a}) AS b, min(${b}) AS c, max(${b}) AS d
    FROM read_parquet('${data}/exchange=*/channel=${channel}/**/*.parquet', hive_partitioning = false, filename = true) GROUP BY 1`);
  return new Map(rows.map((row) => [row.filename, words(row.n, row.s, [row.a, row.b, row.c, row.d].map(Number))]));
}

function extremesOf(columns) {
  return columns.flatMap((values) => {
    let [least, most] = [Infinity, -Infinity];
    for (const value of values) { if (value < least) least = value; if (value > most) most = value; }
    return [least, most];
  });
}

const total = (values) => { let sum = 0n; for (const value of values) sum += BigInt(value); return sum; };

function polarsWords(file, [a, b]) {
  const frame = pl.readParquet(file, { columns: ['local_seq', a, b] });
  return words(frame.height, total(frame.getColumn('local_seq').cast(pl.Utf8).toArray()), extremesOf([frame.getColumn(a).toArray(), frame.getColumn(b).toArray()]));
}

function wasmWords(wasm, bytes, [a, b]) {
  const table = tableFromIPC(wasm.readParquet(bytes, { columns: ['local_seq', a, b] }).intoIPCStream());
  return words(table.numRows, total(table.getChild('local_seq')), extremesOf([table.getChild(a), table.getChild(b)]));
}

async function hyparquetWords(bytes, [a, b]) {
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength);
  const file = { byteLength: buffer.byteLength, slice: async (from, to) => buffer.slice(from, to) };
  const rows = await parquetReadObjects({ file, compressors, columns: ['local_seq', a, b] });
  return words(rows.length, total(rows.map((row) => row.local_seq)), extremesOf([rows.map((row) => row[a]), rows.map((row) => row[b])]));
}

// The four readers say the same of every file. Returns how many there were.
export async function assertReadersAgree(data) {
  const wasm = await import('parquet-wasm');
  let count = 0;
  for (const channel of Object.keys(doubles)) {
    for (const [file, expected] of await duckdbWords(data, channel)) {
      const bytes = readFileSync(file);
      assert.equal(polarsWords(file, doubles[channel]), expected, `polars: ${file}`);
      assert.equal(wasmWords(wasm, bytes, doubles[channel]), expected, `parquet-wasm: ${file}`);
      assert.equal(await hyparquetWords(bytes, doubles[channel]), expected, `hyparquet: ${file}`);
      count++;
    }
  }
  assert.equal(count, files(data).filter((file) => file.endsWith('.parquet') && channelOf(file) in doubles).length);
  return count;
}

// All files of a channel as one table, by DuckDB and by Polars: rows, symbols, ids without a hole.
export async function assertOneTable(data) {
  const glob = `${data}/exchange=*/channel=trades/**/*.parquet`;
  const [duck] = await query(`SELECT count(*) AS rows, count(DISTINCT symbol) AS symbols, sum(last - first + 1 - n) AS holes FROM (SELECT symbol, count(*) OVER () AS all_rows,
    min(trade_id) OVER w AS first, max(trade_id) OVER w AS last, count(*) OVER w AS n FROM read_parquet('${glob}', hive_partitioning = true) WINDOW w AS (PARTITION BY symbol)
    QUALIFY row_number() OVER w = 1)`);
  const [{ rows }] = await query(`SELECT count(*) AS rows FROM read_parquet('${glob}', hive_partitioning = true)`);
  const frame = await pl.scanParquet(glob, { hivePartitioning: false }).groupBy('symbol')
    .agg(pl.count('trade_id').alias('n'), pl.col('trade_id').min().alias('first'), pl.col('trade_id').max().alias('last')).collect();
  const polars = frame.toRecords();
  const sum = (of) => polars.reduce((all, row) => all + of(row), 0);
  assert.equal(Number(duck.symbols), polars.length);
  assert.equal(Number(rows), sum((row) => Number(row.n)));
  assert.equal(Number(duck.holes), 0);
  assert.equal(sum((row) => Number(row.last) - Number(row.first) + 1 - Number(row.n)), 0);
  return Number(rows);
}

// ---- a control group

// Puts a process under a hard memory limit: { add(pid), remove(), peak(), failures() }, or undefined where the machine
// does not let us.
export function makeGroup(bytes) {
  const name = `md-soak-${process.pid}`;
  const one = '/sys/fs/cgroup/memory';
  const two = '/sys/fs/cgroup';
  const version = existsSync(`${two}/cgroup.controllers`) ? 2 : 1;
  const path = join(version === 2 ? two : one, name);
  const [limit, peak, events] = version === 2 ? ['memory.max', 'memory.peak', 'memory.events'] : ['memory.limit_in_bytes', 'memory.max_usage_in_bytes', 'memory.oom_control'];
  try {
    mkdirSync(path);
    writeFileSync(join(path, limit), String(bytes));
  } catch {
    return undefined;
  }
  return {
    add: (pid) => writeFileSync(join(path, 'cgroup.procs'), String(pid)),
    peak: () => Number(readFileSync(join(path, peak), 'utf8')),
    killed: () => Number(/oom_kill (\d+)/.exec(readFileSync(join(path, events), 'utf8'))[1]),
    remove: async () => {
      for (let i = 0; i < 20; i++) {
        try { rmdirSync(path); return; } catch { await sleep(100); }
      }
    },
  };
}
