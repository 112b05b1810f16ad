// compact: the files of a day become one, and every reader sees the same rows in the same order before
// and after, whatever kills it on the way. Files are landed from a recording of our own making that goes
// over three hours of two days, with numbered files inside the hours.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { appendFileSync, cpSync, mkdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import test, { after } from 'node:test';
import { gunzipSync } from 'node:zlib';
import pl from 'nodejs-polars';
import { files, folder, long, query, remove, run, runSync } from './lib.mjs';

const symbols = ['AAAUSDT', 'BBBUSDT', 'CCCUSDT'];
const day = Date.UTC(2026, 10, 23) / 1000;
const frame = (at, stream, data) => `${at.toFixed(3)}\tbinance\t1\trecv\t\t${JSON.stringify({ stream, data })}`;

// Three hours (7, 8 and 22) of two days; trades and best prices of each symbol, books of one.
function recording(days = 2, names = symbols) {
  const lines = [`${day}.0\t-\t0\tstart\tr1 0.1.0\t`, `${day}.1\tbinance\t1\topen\twss://data-stream.binance.vision/stream\t`];
  let id = 1;
  for (let date = 0; date < days; date++) {
    for (const hour of [7, 8, 22]) {
      for (let i = 0; i < 240; i++) {
        const at = day + date * 86400 + hour * 3600 + i * 14.9;
        const s = names[i % names.length];
        const E = Math.floor(at * 1000);
        const price = (100 + (i % 17) * 0.25).toFixed(2);
        lines.push(frame(at, `${s.toLowerCase()}@trade`, { e: 'trade', E, s, t: id, p: price, q: `0.${1 + (i % 9)}`, T: E, m: i % 2 === 0, M: true }));
        lines.push(frame(at, `${s.toLowerCase()}@bookTicker`, { u: id, s, b: price, B: '1.5', a: '120.00', A: `${i}` }));
        lines.push(frame(at, 'aaausdt@depth@100ms', { e: 'depthUpdate', E, s: 'AAAUSDT', U: id, u: id, b: [[price, `${1 + (i % 5)}`]], a: i % 3 ? [] : [['120.00', '2']] }));
        id++;
      }
    }
  }
  return lines.join('\n') + '\n';
}

const base = folder('compact');
after(() => remove(base));
const trees = {};
// A fresh copy of the files as they were landed.
function tree(format = 'parquet', settings = [], text = recording()) {
  const key = [format, ...settings, text.length].join();
  if (!trees[key]) {
    const dir = join(base, `landed-${Object.keys(trees).length}`);
    mkdirSync(dir);
    const loaded = runSync(['journal', 'load', `${dir}/in`, '--strict'], { input: text });
    assert.equal(loaded.code, 0, loaded.stderr);
    mkdirSync(`${dir}/out`);
    const landed = runSync(['rederive', `${dir}/in/journal`, '-o', `${dir}/out`, '--set', `output.format=${format}`,
      '--set', 'output.roll_secs=1200', '--set', 'output.parquet_batch_size=100', ...settings.flatMap((pair) => ['--set', pair])]);
    assert.equal(landed.code, 0, landed.stderr);
    trees[key] = `${dir}/out`;
  }
  const copy = folder('compact-run');
  cpSync(trees[key], copy, { recursive: true });
  after(() => remove(copy));
  return copy;
}

const compact = (dir, args = [], options = {}) => runSync(['compact', dir, '--set', 'output.parquet_batch_size=1000', ...args], options);
const data = (dir) => files(dir).filter((file) => file.includes('/exchange=')).map((file) => file.slice(dir.length + 1));
const inHours = (dir) => data(dir).filter((file) => !file.includes('hour=all'));
const unfinished = (dir) => data(dir).filter((file) => file.includes('.inprogress-'));
const channels = ['trades', 'book_ticker', 'incremental_book_L2'];
// file_row_number differs by file: rows without it
async function contents(dir) {
  const all = {};
  for (const channel of channels) {
    const [row] = await query(`SELECT count(*)::int AS n, md5(string_agg(r::text, '|' ORDER BY r.symbol, r.local_seq, i)) AS hash
      FROM (SELECT t AS r, file_row_number AS i FROM (SELECT * EXCLUDE file_row_number FROM
        read_parquet('${dir}/exchange=*/channel=${channel}/**/*.parquet', hive_partitioning = false, file_row_number = true)) t,
        LATERAL (SELECT 0 AS file_row_number))`);
    all[channel] = row;
  }
  return all;
}
const manifest = (dir, date, kind = '') => readFileSync(`${dir}/manifest/binance-${date}${kind}.jsonl`, 'utf8').trim().split('\n').map((line) => JSON.parse(line));

test('one file a symbol and channel, the same rows, and readers find them', async (t) => {
  const dir = tree();
  const before = await contents(dir);
  const count = data(dir).length;
  assert.ok(count > 60, `${count} files landed`);
  assert.equal(before.trades.n, 1440);

  await t.test('--dry-run tells and does nothing', () => {
    const told = compact(dir, ['--dry-run']);
    assert.equal(told.code, 0, told.stderr);
    assert.match(told.stdout, /binance trades AAAUSDT 2026-11-23: 9 files, 240 rows, \d+ bytes -> exchange=binance\/channel=trades\/symbol=AAAUSDT\/date=2026-11-23\/hour=all\//);
    assert.equal(data(dir).length, count);
  });

  const did = compact(dir);
  assert.equal(did.code, 0, did.stderr);
  const now = data(dir).filter((file) => file.includes('symbol='));
  assert.equal(now.length, 2 * (3 + 3 + 1), did.stdout);
  assert.ok(now.every((file) => file.includes('/hour=all/')));
  assert.deepEqual(await contents(dir), before);
  assert.deepEqual(unfinished(dir), []);

  await t.test('rows of a file stand in the order received', async () => {
    const [row] = await query(`SELECT count(*)::int AS n FROM (SELECT local_seq, lag(local_seq) OVER (PARTITION BY filename ORDER BY file_row_number) AS before
      FROM read_parquet('${dir}/exchange=*/**/hour=all/*.parquet', union_by_name = true, filename = true, file_row_number = true)) WHERE local_seq < before`);
    assert.equal(row.n, 0);
  });

  await t.test('footer and manifest say what was merged', async () => {
    const [path] = now.filter((file) => file.includes('channel=trades/symbol=AAAUSDT/date=2026-11-23'));
    const kv = Object.fromEntries((await query(`SELECT decode(key) AS k, decode(value) AS v FROM parquet_kv_metadata('${dir}/${path}')`)).map(({ k, v }) => [k, v]));
    assert.equal(kv.merged_files, '9');
    assert.equal(kv.symbol, 'AAAUSDT');
    const inputs = manifest(dir, '2026-11-23').filter((line) => line.channel === 'trades' && line.symbol === 'AAAUSDT');
    assert.equal(kv.first_sequence, String(inputs[0].first_sequence));
    assert.equal(kv.last_sequence, String(inputs.at(-1).last_sequence));
    assert.equal(kv.gap_count, String(inputs.reduce((sum, line) => sum + line.gaps, 0)));
    assert.equal(kv.journal_first_seq, String(inputs[0].journal_first_seq));
    assert.equal(kv.journal_last_seq, String(inputs.at(-1).journal_last_seq));
    const [line] = manifest(dir, '2026-11-23', '.compact').filter((entry) => entry.path === path);
    assert.deepEqual(line.replaces, inputs.map((entry) => entry.path));
    assert.equal(line.rows, 240);
    assert.equal(line.bytes, statSync(`${dir}/${path}`).size);
    assert.equal(line.sha256, createHash('sha256').update(readFileSync(`${dir}/${path}`)).digest('hex'));
    const [meta] = await query(`SELECT min(row_group_num_rows)::int AS rows, bool_and(stats_min_value IS NOT NULL) AS stats
      FROM parquet_metadata('${dir}/${path}') WHERE path_in_schema IN ('local_timestamp', 'price')`);
    assert.deepEqual(meta, { rows: 240, stats: true });
  });

  await t.test('a second run has nothing to do', () => {
    const again = compact(dir);
    assert.equal(again.code, 0, again.stderr);
    assert.match(again.stdout, /^0 files became 0/);
    assert.deepEqual(data(dir).filter((file) => file.includes('symbol=')), now);
  });

  await t.test('rederive, the recorder and inspect go on as before', () => {
    const shown = runSync(['inspect', `${dir}/${now[0]}`]);
    assert.equal(shown.code, 0, shown.stderr);
    assert.match(shown.stdout, /sorted by|local_timestamp, local_seq/);
  });
});

test('compacted and other days are one table: globs, hive keys, pruning', async () => {
  const dir = tree();
  const did = compact(dir, ['--date', '2026-11-23']);
  assert.equal(did.code, 0, did.stderr);
  const hive = `read_parquet('${dir}/exchange=*/channel=trades/**/*.parquet', hive_partitioning = true)`;
  const n = async (where) => Number((await query(`SELECT count(*) AS n FROM ${hive} WHERE ${where}`))[0].n);
  assert.equal(await n('true'), 1440);
  assert.equal(await n("date = '2026-11-23' AND symbol = 'BBBUSDT'"), 240);
  assert.equal(await n("date = '2026-11-24' AND hour = '08'"), 240);
  assert.equal(await n("local_timestamp >= '2026-11-23 08:00:00+00' AND local_timestamp < '2026-11-23 09:00:00+00'"), 240);
  // a number for the hour says so loudly where a compacted day is read, and never gives a part of the rows
  await assert.rejects(n("date = '2026-11-23' AND hour = 8"), /all/);
  const scan = pl.scanParquet(`${dir}/exchange=*/channel=trades/**/*.parquet`, { hivePartitioning: true });
  assert.equal(scan.collectSync().height, 1440);
  assert.equal(scan.filter(pl.col('date').eq(pl.lit(new Date('2026-11-23')).cast(pl.Date))).collectSync().height, 720);
});

test('JSONL and CSV: the same lines, one line of names', () => {
  for (const [format, settings] of [['jsonl', []], ['csv', []], ['csv', ['output.local_ns=true']]]) {
    const dir = tree(format, settings);
    const text = (path) => (format === 'csv' ? gunzipSync(readFileSync(path)).toString()
      : String(runZstd(readFileSync(path))));
    const of = (list) => list.map((file) => text(`${dir}/${file}`).trimEnd().split('\n'));
    const pick = () => data(dir).filter((file) => file.includes('channel=trades/symbol=BBBUSDT/date=2026-11-24'));
    const before = of(pick());
    const names = before[0][0];
    const did = compact(dir);
    assert.equal(did.code, 0, did.stderr);
    const [merged, ...others] = of(pick());
    assert.equal(others.length, 0);
    if (format === 'csv') {
      assert.deepEqual(merged, [names, ...before.flatMap((lines) => lines.slice(1))]);
    } else {
      assert.deepEqual(merged, before.flat());
    }
    assert.equal(merged.length - (format === 'csv' ? 1 : 0), 240);
    assert.match(compact(dir).stdout, /^0 files became 0/);
  }
});

// Node 20 has no zstd of its own: the one of hyparquet-compressors.
const { compressors } = await import('hyparquet-compressors');
function runZstd(bytes) {
  for (let size = 1 << 20; ; size *= 4) {
    try {
      return new TextDecoder().decode(compressors.ZSTD(bytes, size)).replace(/\0+$/, '');
    } catch (error) {
      if (size > 1 << 28) throw error;
    }
  }
}

const steps = ['compact_after_tmp_create', 'compact_after_row_group', 'compact_before_footer', 'compact_before_verify', 'compact_before_commit',
  'compact_after_commit', 'compact_before_rename', 'compact_before_dirsync', 'compact_before_delete', 'compact_after_delete', 'compact_before_last_delete'];
for (const format of ['parquet', 'csv']) {
  test(`killed at each step, several times (${format}): nothing lost, nothing twice`, async () => {
    const first = tree(format, [], recording(1, ['AAAUSDT']));
    const reference = tree(format, [], recording(1, ['AAAUSDT']));
    assert.equal(compact(reference).code, 0);
    const done = data(reference);
    const bytes = (dir) => Object.fromEntries(data(dir).map((file) => [file, createHash('sha256').update(readFileSync(`${dir}/${file}`)).digest('hex')]));
    const want = bytes(reference);
    for (const step of steps) {
      for (const pass of long ? [1, 2, 3] : format === 'parquet' ? [1, 2, 3] : [2]) {
        const dir = folder('compact-kill');
        cpSync(first, dir, { recursive: true });
        const killed = compact(dir, [], { env: { MD_FAILPOINT: `${step}:${pass}` } });
        assert.equal(killed.signal, 'SIGKILL', `${step}:${pass} was not reached: ${killed.stdout}${killed.stderr}`);
        // before the next run: what the manifests say counts is there, whole
        const again = compact(dir);
        assert.equal(again.code, 0, `${step}:${pass} ${again.stderr}`);
        assert.deepEqual(data(dir), done, `${step}:${pass}`);
        assert.deepEqual(bytes(dir), want, `${step}:${pass}`);
        assert.match(compact(dir).stdout, /^0 files became 0/);
        remove(dir);
      }
    }
  });
}

test('killed at random moments', async () => {
  const first = tree('parquet', [], recording(1));
  const before = await contents(first);
  for (let turn = 0; turn < (long ? 200 : 4); turn++) {
    const dir = folder('compact-kill');
    cpSync(first, dir, { recursive: true });
    for (let life = 0; life < 3; life++) {
      const child = run(['compact', dir]);
      setTimeout(() => child.child.kill('SIGKILL'), 5 + Math.random() * 120);
      await child.exited;
    }
    const again = compact(dir);
    assert.equal(again.code, 0, again.stderr);
    assert.deepEqual(await contents(dir), before);
    remove(dir);
  }
});

test('what is damaged is left, said, and the rest is merged', async () => {
  const dir = tree();
  const victim = data(dir).find((file) => file.includes('channel=trades/symbol=AAAUSDT/date=2026-11-23'));
  const bytes = readFileSync(`${dir}/${victim}`);
  bytes[40] ^= 1; // in its first page; what is damaged in the footer has other words
  writeFileSync(`${dir}/${victim}`, bytes);
  const gone = data(dir).find((file) => file.includes('channel=trades/symbol=BBBUSDT/date=2026-11-24'));
  rmSync(`${dir}/${gone}`);
  const left = inHours(dir).filter((file) => /trades\/symbol=(AAAUSDT\/date=2026-11-23|BBBUSDT\/date=2026-11-24)/.test(file));
  const did = compact(dir);
  assert.equal(did.code, 1);
  assert.ok(did.stderr.includes(`${victim}: not what the manifest says`), did.stderr);
  assert.ok(did.stderr.includes(`${gone}: in the manifest, but not found`), did.stderr);
  assert.match(did.stderr, /2 merges refused/);
  assert.deepEqual(inHours(dir).filter((file) => file.includes('symbol=')), left);
  assert.deepEqual(unfinished(dir), []);
});

test('a merged file that is not what its line says deletes nothing', async () => {
  const dir = tree();
  const killed = compact(dir, [], { env: { MD_FAILPOINT: 'compact_before_rename' } });
  assert.equal(killed.signal, 'SIGKILL');
  const [made] = unfinished(dir);
  const stream = made.slice(0, made.indexOf('/hour=')); // a line says that its inputs do not count any more
  const inputs = inHours(dir).filter((file) => file.startsWith(stream));
  assert.equal(inputs.length, 9);
  appendFileSync(`${dir}/${made}`, 'x');
  const did = compact(dir, ['--date', '2026-11-23', '--exchange', 'binance']);
  assert.equal(did.code, 1);
  assert.match(did.stderr, /what it replaces is kept/);
  assert.deepEqual(inHours(dir).filter((file) => file.startsWith(stream)), inputs);
});

test('what comes late is merged with what was merged before', async () => {
  const dir = tree();
  const before = await contents(dir);
  // the last hour's lines are not there yet
  const path = `${dir}/manifest/binance-2026-11-23.jsonl`;
  const lines = readFileSync(path, 'utf8').trimEnd().split('\n');
  writeFileSync(path, lines.filter((line) => !line.includes('/hour=22/')).join('\n') + '\n');
  assert.equal(compact(dir).code, 0);
  assert.ok(inHours(dir).some((file) => file.includes('date=2026-11-23/hour=22')));
  writeFileSync(path, lines.join('\n') + '\n');
  const did = compact(dir);
  assert.equal(did.code, 0, did.stderr);
  assert.deepEqual(inHours(dir).filter((file) => file.includes('symbol=')), []);
  assert.deepEqual(await contents(dir), before);
  const generations = manifest(dir, '2026-11-23', '.compact').filter((line) => line.channel === 'trades' && line.symbol === 'AAAUSDT');
  assert.equal(generations.length, 2);
  assert.equal(generations[1].replaces[0], generations[0].path);
});

test('bad input is said with its remedy', () => {
  const dir = folder('compact-bad');
  after(() => remove(dir));
  for (const [args, pattern, code] of [
    [[`${dir}/nowhere`], /nowhere: no such folder/, 2],
    [[dir], /manifest: no such folder: not where a recorder wrote/, 2],
    [[dir, '--date', '2026-02-30'], /--date 2026-02-30: a day as YYYY-MM-DD is wanted/, 2],
    [[dir, '--date', 'yesterday'], /a day as YYYY-MM-DD is wanted/, 2],
    [[dir, '--exchange', 'nasdaq'], /no such exchange; there are binance/, 2],
    [[dir, 'more'], /usage: market-data compact/, 2],
  ]) {
    const did = runSync(['compact', ...args]);
    assert.equal(did.code, code, did.stderr);
    assert.match(did.stderr, pattern);
  }
});
