// Filters on time and price skip row groups of files that `record` made, before and after compact: by
// the readers' own counters (bytes that DuckDB read, row groups that Polars says it read, ranges that
// hyparquet asked for).
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { dirname } from 'node:path';
import test, { after, before } from 'node:test';
import { fileURLToPath } from 'node:url';
import { DuckDBInstance } from '@duckdb/node-api';
import { parquetMetadata, parquetReadObjects } from 'hyparquet';
import { compressors } from 'hyparquet-compressors';
import { files, folder, query, record, remove, runSync, simulate, sleep } from './lib.mjs';

const here = dirname(fileURLToPath(import.meta.url));
const dir = folder('pushdown');
after(() => remove(dir));

before(async () => {
  const sim = await simulate(dir, { symbols: 2, rate: 1500 });
  const recorder = record(sim, `${dir}/data`, ['--set', 'output.parquet_batch_size=100', '--set', 'binance.channels=trades,incremental_book_L2']);
  await recorder.until(/recording/);
  await sleep(4000);
  recorder.child.kill('SIGTERM');
  const { code } = await recorder.exited;
  assert.equal(code, 0, recorder.stderr);
  await sim.stop();
});

// The largest file of a channel, and of its row groups the bounds of a column.
function largest(channel) {
  const all = files(`${dir}/data`).filter((file) => file.includes(`/channel=${channel}/`) && file.endsWith('.parquet'));
  return all.map((file) => ({ file, bytes: readFileSync(file).length })).sort((a, b) => b.bytes - a.bytes)[0].file;
}
async function groups(file, column) {
  return query(`SELECT row_group_id::int AS id, row_group_num_rows::int AS rows, stats_min_value AS min, stats_max_value AS max
    FROM parquet_metadata('${file}') WHERE path_in_schema = '${column}' ORDER BY row_group_id`);
}
// A new instance each time: nothing of the file is cached.
async function duckBytes(file, where) {
  const other = await (await DuckDBInstance.create(':memory:')).connect();
  const plan = (await other.runAndReadAll(`explain (analyze, format json) select sum(amount), sum(local_seq), max(timestamp) from '${file}' where ${where}`)).getRowObjects();
  return JSON.parse(plan[0].explain_value).total_bytes_read;
}
// What Polars says of its own reading, in a process of its own: it reads the setting at start.
function polarsGroups(file, filter) {
  const script = `import pl from 'nodejs-polars';
    const frame = pl.scanParquet(${JSON.stringify(file)}, { useStatistics: true }).filter(${filter}).collectSync();
    console.log('height ' + frame.height);`;
  const did = spawnSync(process.execPath, ['--input-type=module', '-e', script], { cwd: here, encoding: 'utf8', env: { ...process.env, POLARS_VERBOSE: '1' }, timeout: 60000 });
  assert.equal(did.status, 0, did.stderr);
  const said = /reading (\d+) \/ (\d+) row groups/.exec(did.stderr);
  assert.ok(said, did.stderr.slice(-2000));
  return { height: Number(/height (\d+)/.exec(did.stdout)[1]), read: Number(said[1]), all: Number(said[2]) };
}
// nodejs-polars 0.24.1 skips row groups only where a column has one value in them, whoever wrote the
// file: it is held to what it does with a file of DuckDB's.
let skips;
async function polarsSkips() {
  if (skips === undefined) {
    await query(`COPY (SELECT i::double AS price FROM range(100000) t(i)) TO '${dir}/duckdb.parquet' (FORMAT parquet, ROW_GROUP_SIZE 4096)`);
    const control = polarsGroups(`${dir}/duckdb.parquet`, "pl.col('price').gtEq(99000)");
    skips = control.read < control.all;
    console.log(`# Polars reads ${control.read} of ${control.all} row groups of a file of DuckDB's`);
  }
  return skips;
}
async function hyparquetBytes(file, filter) {
  const bytes = readFileSync(file);
  let read = 0;
  const source = { byteLength: bytes.length, slice: (from, to) => { read += (to ?? bytes.length) - from; return bytes.buffer.slice(bytes.byteOffset + from, bytes.byteOffset + (to ?? bytes.length)); } };
  const metadata = parquetMetadata(bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.length));
  const rows = await parquetReadObjects({ file: source, metadata, compressors, filter, columns: ['local_seq', 'price', 'local_timestamp'] });
  return { read, rows: rows.length };
}

async function checkTime(file) {
  const of = await groups(file, 'local_timestamp');
  assert.ok(of.length >= 5, `${of.length} row groups in ${file}`);
  const middle = of[Math.floor(of.length / 2)];
  const [{ from, to, rows }] = await query(`SELECT epoch_us(min(local_timestamp))::text AS from, epoch_us(max(local_timestamp))::text AS to, count(*)::int AS rows
    FROM (SELECT local_timestamp FROM '${file}' LIMIT ${middle.rows} OFFSET ${of.slice(0, middle.id).reduce((sum, group) => sum + group.rows, 0)})`);
  const [{ n }] = await query(`SELECT count(*)::int AS n FROM '${file}' WHERE epoch_us(local_timestamp) BETWEEN ${from} AND ${to}`);
  const all = await duckBytes(file, 'true');
  const none = await duckBytes(file, "local_timestamp > '2100-01-01'"); // the footer alone
  const some = await duckBytes(file, `local_timestamp BETWEEN make_timestamptz(${from}) AND make_timestamptz(${to})`);
  assert.ok(none < some && (some - none) * 2 < all - none, `DuckDB read ${some} bytes, ${none} for no row, ${all} for all`);
  const time = (us) => `pl.lit(${us}).cast(pl.Datetime('us', 'UTC'))`;
  const polars = polarsGroups(file, `pl.col('local_timestamp').gtEq(${time(from)}).and(pl.col('local_timestamp').ltEq(${time(to)}))`);
  assert.equal(polars.height, n);
  assert.equal(polars.all, of.length);
  assert.ok(!(await polarsSkips()) || polars.read * 2 <= polars.all, `Polars read ${polars.read} of ${polars.all} row groups`);
  const hyparquet = await hyparquetBytes(file, { local_timestamp: { $gte: new Date(Number(from) / 1000), $lte: new Date(Math.ceil(Number(to) / 1000)) } });
  const whole = await hyparquetBytes(file, undefined);
  assert.ok(hyparquet.rows >= 1 && hyparquet.read * 2 < whole.read, `hyparquet read ${hyparquet.read} bytes of ${whole.read}`);
  return { groups: of.length, rows, n };
}

async function checkNumber(file, column) {
  const of = await groups(file, column);
  const top = of.reduce((best, group) => (Number(group.max) > Number(best.max) ? group : best));
  const holds = of.filter((group) => Number(group.max) >= Number(top.max)).length;
  assert.ok(holds < of.length, `the highest ${column} is in every row group`);
  const [{ n }] = await query(`SELECT count(*)::int AS n FROM '${file}' WHERE "${column}" >= ${top.max}`);
  const all = await duckBytes(file, 'true');
  const some = await duckBytes(file, `"${column}" >= ${top.max}`);
  const none = await duckBytes(file, `"${column}" > ${top.max}`);
  assert.ok(none <= some && some < all, `DuckDB read ${some} bytes of ${all}, ${none} for no row`);
  assert.ok((all - some) / (all - none) >= ((of.length - holds) / of.length) * 0.5, `DuckDB read ${some} of ${all} where ${holds} of ${of.length} row groups hold it`);
  const polars = polarsGroups(file, `pl.col('${column}').gtEq(${top.max})`);
  assert.equal(polars.height, n);
  assert.equal(polars.all, of.length);
  assert.ok(polars.read >= holds && (!(await polarsSkips()) || polars.read === holds), `Polars read ${polars.read} of ${polars.all} row groups, ${holds} hold it`);
  const hyparquet = await hyparquetBytes(file, { [column]: { $gte: column === 'price' ? Number(top.max) : BigInt(top.max) } });
  assert.equal(hyparquet.rows, n);
  assert.ok(hyparquet.read < (await hyparquetBytes(file, undefined)).read);
}

for (const channel of ['trades', 'incremental_book_L2']) {
  test(`${channel} as recorded: time, price and sequence skip row groups`, async () => {
    const file = largest(channel);
    await checkTime(file);
    await checkNumber(file, 'price');
    await checkNumber(file, 'local_seq');
  });
}

test('merged files keep what readers skip by', async () => {
  const day = new Date().toISOString().slice(0, 10);
  // two runs of the recorder in one day are two files a stream: the second begins anew
  const sim = await simulate(dir, { symbols: 2, rate: 1500 });
  const recorder = record(sim, `${dir}/data`, ['--set', 'output.parquet_batch_size=100', '--set', 'binance.channels=trades,incremental_book_L2', '--seconds', 2]);
  assert.equal((await recorder.exited).code, 0, recorder.stderr);
  await sim.stop();
  const did = runSync(['compact', `${dir}/data`, '--date', day, '--set', 'output.parquet_batch_size=100']);
  assert.equal(did.code, 0, did.stderr);
  assert.match(did.stdout, /^[1-9]\d* files became/);
  const file = largest('trades');
  assert.match(file, /hour=all/);
  await checkTime(file);
  await checkNumber(file, 'local_seq');
});

test('a day whose recorder runs is not touched', async () => {
  const sim = await simulate(dir, { symbols: 2, rate: 500 });
  const recorder = record(sim, `${dir}/data`);
  await recorder.until(/recording/);
  const day = new Date().toISOString().slice(0, 10);
  const did = runSync(['compact', `${dir}/data`, '--date', day]);
  assert.equal(did.code, 5);
  assert.match(did.stderr, /in use by another recorder: the day is not over: stop the recorder, or wait for midnight UTC/);
  assert.equal(runSync(['compact', `${dir}/data`]).code, 0); // days that are over: beside the recorder
  recorder.child.kill('SIGTERM');
  assert.equal((await recorder.exited).code, 0);
  await sim.stop();
});
