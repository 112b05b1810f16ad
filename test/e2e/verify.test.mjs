// verify and book over what the recorder really lands: sessions against the simulator with faults, files of a
// roll each, recordings with a line cut out, and folders that somebody has been at. What each single rule
// finds is in test/unit/proof.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { createHash } from 'node:crypto';
import { appendFileSync, copyFileSync, cpSync, mkdirSync, readFileSync, readdirSync, renameSync, rmSync, truncateSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { before, describe, test } from 'node:test';
import { gunzipSync, gzipSync } from 'node:zlib';
import { decompress } from 'fzstd';
import { land, linesOf, micros, recording, restLine, samplesOf } from './golden.mjs';
import { build, channels, difference, files, folder, query, record, remove, runSync, simulate, table } from './lib.mjs';

function verify(dir, args = []) {
  const run = runSync(['verify', dir, '--json', ...args]);
  assert.ok(run.code === 0 || run.code === 1, run.stderr);
  const report = JSON.parse(run.stdout);
  assert.equal(run.code, report.finding_count > 0 ? 1 : 0);
  return report;
}
const kinds = (report) => report.findings.map((finding) => finding.kind).sort();
const where = (report, channel, symbol) => report.streams.find((s) => s.channel === channel && (symbol === undefined || s.symbol === symbol));
const sum = (rows, of) => rows.reduce((n, row) => n + of(row), 0);

// Ids missing between the first and the last of each run of Binance's trades, counted by DuckDB alone.
async function missingTrades(dir) {
  const [row] = await query(`SELECT coalesce(sum(last - first + 1 - n), 0) AS missing FROM (
    SELECT exchange, symbol, flags & 1, min(trade_id) AS first, max(trade_id) AS last, count(*) AS n
    FROM ${table(dir, 'trades').replace('exchange=*', 'exchange=binance*')} GROUP BY ALL)`);
  return Number(row.missing);
}

describe('a session of four venues with faults', { timeout: 120000 }, () => {
  const dir = folder('verify');
  const data = `${dir}/data`;
  const venues = ['binance', 'binance-futures', 'kucoin', 'gate-io'];
  before(async () => {
    const sims = await Promise.all(venues.map((exchange) => simulate(mkdtemp(dir, exchange), { exchange, symbols: 6, rate: 400,
      faults: 'every 40 drop depth\nevery 55 drop trade\nat 2500ms reset\n' })));
    const args = sims.slice(1).flatMap((sim) => ['--set', `${sim.section}.symbols=${sim.symbols}`, ...sim.settings]);
    const ca = `${dir}/all.pem`;
    writeFileSync(ca, sims.map((sim) => readFileSync(sim.ca, 'utf8')).join(''));
    const recorder = record(sims[0], data, [...args, '--set', `net.ca_file=${ca}`, '--set', 'output.roll_secs=1', '--set', 'journal.keep=1', '--seconds', 6]);
    const { code } = await recorder.exited;
    assert.equal(code, 0, recorder.stdout + recorder.stderr);
    await Promise.all(sims.map((sim) => sim.stop()));
  });

  test('every hole is explained, and counted as DuckDB counts it', async () => {
    const report = verify(data);
    assert.deepEqual(report.findings, []);
    assert.ok(report.files > 200, `${report.files} files`);
    const binance = report.streams.filter((s) => s.exchange.startsWith('binance') && s.channel === 'trades');
    assert.ok(binance.length >= 6);
    assert.equal(sum(binance, (s) => s.missing_ids), await missingTrades(data));
    const depth = report.streams.filter((s) => s.channel === 'incremental_book_L2');
    for (const venue of venues) {
      const holes = sum(depth.filter((s) => s.exchange === venue), (s) => s.missing_ids);
      assert.ok(holes > 0, `${venue}: no hole in depth was seen`);
      assert.ok(depth.filter((s) => s.exchange === venue).every((s) => s.covered_percent < 100), venue);
    }
    const [rows] = await query(`SELECT count(*) AS n FROM read_parquet('${data}/exchange=*/**/*.parquet', union_by_name = true)`);
    assert.equal(report.rows, Number(rows.n));
    const text = runSync(['verify', data]);
    assert.match(text.stdout, /everything is there or explained/);
    assert.deepEqual(text.stdout.split('\n').filter((line) => line.length > 100), []);
  });

  // The same journal landed in another format: the same rows in the same files.
  const landed = (format, args = []) => {
    const out = `${dir}/${format}`;
    const run = runSync(['rederive', `${data}/journal`, '-o', out, '--set', `output.format=${format.replace('tardis', 'csv')}`, ...args],
      { env: { MARKET_DATA_LOG: 'error' } });
    assert.equal(run.code, 0, run.stderr);
    return out;
  };
  const told = (report) => JSON.parse(JSON.stringify(report, (key, value) => (key === 'bytes' ? undefined : value)));
  const nobody = () => { // a data folder of these exchanges without a file
    const out = `${dir}/nobody`;
    rmSync(out, { recursive: true, force: true });
    mkdirSync(`${out}/manifest`, { recursive: true });
    for (const name of readdirSync(`${data}/manifest`)) writeFileSync(`${out}/manifest/${name}`, '');
    return out;
  };

  for (const [format, kind] of [['jsonl', 'jsonl.zst'], ['csv', 'csv.gz']]) {
    test(`${format}: the same report as of Parquet; damage is named; book and merge read it`, async () => {
      const out = landed(format);
      assert.deepEqual(told(verify(out)), told(verify(data)));
      const target = files(out).filter((file) => file.includes('exchange=binance/channel=trades') && file.endsWith(kind))[3];
      const whole = readFileSync(target);
      const text = Buffer.from(format === 'csv' ? gunzipSync(whole) : decompress(whole)).toString();
      const named = (bytes, words) => {
        writeFileSync(target, bytes);
        const { findings } = verify(out);
        assert.ok(findings.some((f) => f.kind === 'file_damaged' && f.path === target.slice(out.length + 1) && words.test(f.text)), JSON.stringify(findings));
        assert.deepEqual([...new Set(findings.map((f) => f.kind))], ['file_damaged']);
      };
      const flipped = Buffer.from(whole);
      flipped[flipped.length >> 1] ^= 4;
      named(flipped, /SHA-256/);
      named(whole.subarray(0, whole.length - 10), /bytes/);
      writeFileSync(target, whole);
      const at = new Date(Date.parse(verify(data).streams.find((s) => s.exchange === 'binance' && s.symbol === 'BTCUSDT').last)).toISOString();
      const book = (root) => runSync(['book', root, 'BTCUSDT', '--exchange', 'binance', '--at', at, '--levels', '8192', '--json']).stdout;
      assert.ok(book(data).includes('"bids"'));
      assert.equal(book(out), book(data));
      // forged whole, checksums and all: the place of the wrong line is said
      if (format === 'csv') {
        const lines = text.split('\n');
        assert.ok(lines.length > 4);
        const cell = lines[2].split(',');
        const forged = gzipSync(lines.with(2, cell.with(5, `${cell[5]}x`).join(',')).join('\n'));
        writeFileSync(target, forged);
        const { findings } = verify(out);
        assert.ok(findings.some((f) => /line 3: trade_id: not a value of this column/.test(f.text)), JSON.stringify(findings));
        writeFileSync(target, whole);
      }
      assert.deepEqual(verify(out).findings, []);
      const [a, b] = [`${dir}/merged-${format}`, `${dir}/merged-parquet`];
      rmSync(b, { recursive: true, force: true });
      for (const [from, to] of [[out, a], [data, b]]) {
        const run = runSync(['merge', from, nobody(), '-o', to]);
        assert.equal(run.code, 0, run.stderr);
      }
      for (const channel of channels(b)) assert.equal(await difference(a, b, channel), 0, channel);
      remove(out);
    });
  }

  test('csv in tardis\'s columns: what can be checked is, what cannot is said', () => {
    const out = landed('tardis', ['--set', 'output.csv_schema=tardis']);
    const run = runSync(['verify', out, '--json']);
    assert.equal(run.code, 2, run.stderr);
    assert.match(run.stderr, /CSV files have tardis's columns, and so no ids: their place, times, order and number of rows were checked/);
    const report = JSON.parse(run.stdout);
    assert.deepEqual(report.findings, []);
    assert.equal(where(report, 'trades').proven_by, 'none');
    for (const args of [['book', out, 'BTCUSDT', '--exchange', 'binance', '--at', '2100-01-01'], ['merge', out, nobody(), '-o', `${dir}/never`]]) {
      const refused = runSync(args);
      assert.equal(refused.code, 2);
      assert.match(refused.stderr, /no ids in it: rederive the journal/);
    }
    // two rows of different times change places, in the first file that has such; of one time they would tell nothing
    let swapped;
    for (const target of files(out).filter((file) => file.includes('exchange=binance/channel=trades') && file.endsWith('csv.gz'))) {
      const lines = gunzipSync(readFileSync(target)).toString().trimEnd().split('\n');
      const time = (line) => line?.split(',')[lines[0].split(',').indexOf('local_timestamp')];
      const at = lines.findIndex((line, i) => i > 0 && i + 1 < lines.length && time(line) !== time(lines[i + 1]));
      if (at < 0) continue;
      [lines[at], lines[at + 1]] = [lines[at + 1], lines[at]];
      writeFileSync(target, gzipSync(`${lines.join('\n')}\n`));
      swapped = target;
      break;
    }
    assert.ok(swapped, 'no file with rows of two times');
    assert.ok(JSON.parse(runSync(['verify', out, '--json']).stdout).findings.some((f) => f.kind === 'row_order'));
    remove(out);
  });

  test('control: without the gaps files the same holes are findings, with the same ids', async () => {
    const copy = folder('verify-gaps');
    cpSync(data, copy, { recursive: true });
    const told = verify(data);
    for (const venue of venues) rmSync(`${copy}/exchange=${venue}/channel=gaps`, { recursive: true });
    for (const name of readdirSync(`${copy}/manifest`)) {
      const path = `${copy}/manifest/${name}`;
      writeFileSync(path, readFileSync(path, 'utf8').split('\n').filter((line) => !line.includes('"channel":"gaps"')).join('\n'));
    }
    const report = verify(copy);
    // a book in the stream needs no gap row where REST books exist: those ids are in no count
    assert.deepEqual([...new Set(kinds(report))], ['ids_missing']);
    for (const stream of report.streams.filter((s) => s.proven_by !== 'none')) {
      const before = where({ streams: told.streams.filter((s) => s.exchange === stream.exchange) }, stream.channel, stream.symbol);
      assert.equal(stream.unexplained_ids, before.missing_ids, `${stream.exchange} ${stream.channel} ${stream.symbol}`);
    }
    remove(copy);
  });

  test('a book at a moment is the simulator\'s at its update', () => {
    const report = verify(data);
    for (const exchange of ['binance']) {
      const stream = where({ streams: report.streams.filter((s) => s.exchange === exchange) }, 'incremental_book_L2', 'BTCUSDT');
      const [first, last] = [Date.parse(stream.first), Date.parse(stream.last)];
      let whole = 0;
      for (let i = 1; i <= 8; i++) {
        const at = new Date(first + ((last - first) * i) / 8).toISOString();
        const run = runSync(['book', data, 'BTCUSDT', '--exchange', exchange, '--at', at, '--levels', '8192', '--json']);
        if (run.code === 2) continue; // before the first book
        const book = JSON.parse(run.stdout);
        assert.equal(run.code, book.whole ? 0 : 1);
        if (!book.whole) continue;
        whole++;
        assert.equal(book.bids.length, book.bid_levels);
        const rows = [...book.bids.map((l) => ['bid', ...l]), ...book.asks.map((l) => ['ask', ...l])]
          .map(([side, price, amount]) => `BTCUSDT,true,${side},${price},${amount},,${book.update_id}`);
        const checked = spawnSync(join(build, 'test/e2e/oracle'), ['--seed', '7', '--symbols', '6', '--rate', '400', 'depth', '-'],
          { input: `symbol,is_snapshot,side,price,amount,first_update_id,last_update_id\n${rows.join('\n')}\n`, encoding: 'utf8' });
        assert.equal(checked.status, 0, checked.stdout + checked.stderr);
        assert.match(checked.stdout, /"snapshots":1/);
        if (whole === 1) { // control: one altered amount
          const wrong = rows.with(0, rows[0].replace(/,[^,]*,,/, ',123456,,'));
          assert.equal(spawnSync(join(build, 'test/e2e/oracle'), ['--seed', '7', '--symbols', '6', '--rate', '400', 'depth', '-'],
            { input: `symbol,is_snapshot,side,price,amount,first_update_id,last_update_id\n${wrong.join('\n')}\n` }).status, 1);
        }
      }
      assert.ok(whole >= 2, `only ${whole} whole books`);
    }
    const early = runSync(['book', data, 'BTCUSDT', '--exchange', 'binance', '--at', '2020-01-01']);
    assert.equal(early.code, 2);
    assert.match(early.stderr, /no depth files of this symbol at or before that time/);
    assert.match(runSync(['book', data, 'NOSUCH', '--at', '2030-01-01']).stderr, /NOSUCH: no depth files/);
    assert.match(runSync(['book', data, 'BTCUSDT', '--at', '2030-01-01']).stderr, /say --exchange/);
    assert.match(runSync(['book', data, 'BTCUSDT', '--at', 'noon']).stderr, /--at: noon: a time is wanted/);
  });

  test('damage, a file taken away, a file put there and edited manifests are each named', () => {
    const copy = folder('verify-damage');
    cpSync(data, copy, { recursive: true });
    const target = files(copy).filter((file) => /exchange=binance\/channel=trades.*\.parquet$/.test(file))[3];
    const name = target.slice(copy.length + 1);
    const whole = readFileSync(target);
    const only = (kind, report = verify(copy)) => {
      assert.deepEqual([...new Set(kinds(report))], [kind]);
      assert.ok(report.findings.some((f) => f.path === name), JSON.stringify(report.findings));
    };
    const flipped = Buffer.from(whole);
    flipped[flipped.length >> 1] ^= 4;
    writeFileSync(target, flipped);
    only('file_damaged');
    writeFileSync(target, whole);
    truncateSync(target, whole.length - 10);
    only('file_damaged');
    writeFileSync(target, whole);
    appendFileSync(target, 'x');
    only('file_damaged');
    writeFileSync(target, whole);
    renameSync(target, `${copy}/away`);
    only('file_missing');
    renameSync(`${copy}/away`, target);
    const strange = target.replace(/-\d+\.parquet$/, '-77.parquet');
    copyFileSync(target, strange);
    assert.deepEqual(kinds(verify(copy)), ['file_unnamed']);
    rmSync(strange);
    const manifest = readdirSync(`${copy}/manifest`).filter((n) => n.startsWith('binance-2')).map((n) => `${copy}/manifest/${n}`)[0];
    const text = readFileSync(manifest, 'utf8');
    const line = text.split('\n').findIndex((l) => l.includes(name));
    const lines = text.split('\n');
    writeFileSync(manifest, lines.with(line, lines[line].replace(/"rows":(\d)/, (_, d) => `"rows":${(Number(d) % 9) + 1}`)).join('\n'));
    const report = verify(copy);
    assert.ok(kinds(report).includes('manifest_line') && kinds(report).includes('file_unnamed'), JSON.stringify(report.findings));
    assert.ok(report.findings.some((f) => f.path.endsWith('.jsonl') && f.text.startsWith(`line ${line + 1}:`)));
    assert.ok(report.findings.some((f) => f.path === name));
    writeFileSync(manifest, lines.toSpliced(line, 1).join('\n'));
    assert.ok(kinds(verify(copy)).includes('file_unnamed'));
    writeFileSync(manifest, text);
    assert.deepEqual(verify(copy).findings, []);
    remove(copy);
    remove(dir);
  });
});

function mkdtemp(dir, name) {
  mkdirSync(join(dir, name));
  return join(dir, name);
}

// ---- recordings

const spot = samplesOf('binance-spot');
test('any line of the recorded depth deleted: verify finds one gap of its extent, told or not', { skip: spot.skip }, () => {
  const symbol = 'NKNUSDT';
  const mine = linesOf(spot.samples, 'depth_100ms.jsonl').filter((line) => line.includes(`"s":"${symbol}"`)).slice(0, 40)
    .map((payload, i) => ({ payload, recv: (1700000000000000n + BigInt(i) * 100000n).toString() }));
  const whole = land(recording('binance', mine));
  assert.deepEqual(verify(whole.out).findings, []);
  for (const gone of [1, 7, 20, 38]) {
    const data = JSON.parse(mine[gone].payload).data ?? JSON.parse(mine[gone].payload);
    const ids = data.u - data.U + 1;
    const { dir, out } = land(recording('binance', mine.filter((_, i) => i !== gone)));
    const told = where(verify(out), 'incremental_book_L2', symbol);
    assert.deepEqual([told.missing_ids, told.unexplained_ids, told.gaps], [ids, 0, { sequence: 1 }]);
    rmSync(`${out}/exchange=binance/channel=gaps`, { recursive: true });
    const manifest = join(out, 'manifest', readdirSync(`${out}/manifest`)[0]);
    const lines = readFileSync(manifest, 'utf8').split('\n');
    const gaps = lines.find((line) => line.includes('"channel":"gaps"'));
    writeFileSync(manifest, lines.filter((line) => line !== gaps).join('\n'));
    const untold = verify(out);
    assert.equal(untold.findings.length, 1);
    assert.equal(untold.findings[0].kind, 'ids_missing');
    assert.match(untold.findings[0].text, new RegExp(`^ids ${data.U} to ${data.u} \\(${ids}\\) `));
    remove(dir);
  }
  // the other way round: the gap row of a line that is there
  const { dir, out } = land(recording('binance', mine.filter((_, i) => i !== 7)));
  const gap = files(out).find((file) => file.includes('channel=gaps'));
  const target = whole.out + gap.slice(out.length);
  mkdirSync(dirname(target), { recursive: true });
  copyFileSync(gap, target);
  const name = readdirSync(`${out}/manifest`)[0];
  appendFileSync(join(whole.out, 'manifest', name), readFileSync(join(out, 'manifest', name), 'utf8').split('\n').find((line) => line.includes('"channel":"gaps"')) + '\n');
  assert.deepEqual(kinds(verify(whole.out)), ['gap_unseen']);
  remove(dir);
  remove(whole.dir);
});

// Recorded sessions, whose books at the end stand beside them.
function session(exchange, samples) {
  const lines = linesOf(samples, 'session.tsv').map((line) => ({ recv: micros(line.slice(0, line.indexOf('\t'))), payload: line.slice(line.indexOf('\t') + 1) }));
  const requests = linesOf(samples, 'rest/requests.tsv').map((line) => line.split('\t'));
  return [
    ...lines.map((line, i) => [BigInt(line.recv), recording(exchange, [line])[0], i]),
    ...requests.map(([time, , url, file]) => [BigInt(micros(time)), restLine(exchange, micros(time), url, readFileSync(join(samples, file), 'utf8')), -1]),
  ].sort((a, b) => (a[0] < b[0] ? -1 : a[0] > b[0] ? 1 : a[2] - b[2])).map((entry) => entry[1]);
}

for (const [exchange, name] of [['binance', 'binance-spot'], ['binance-futures', 'binance-usdm']]) {
  const { samples, skip } = samplesOf(name);
  const books = (out) => {
    for (const [symbol, want] of Object.entries(JSON.parse(readFileSync(join(samples, 'expected_books.json'), 'utf8')))) {
      const run = runSync(['book', out, symbol, '--at', '2100-01-01', '--levels', '8192', '--json']);
      assert.equal(run.code, 0, run.stderr);
      const book = JSON.parse(run.stdout);
      assert.equal(book.update_id, want.final_update_id, symbol);
      const canonical = book.bids.map(([p, q]) => `b ${p} ${q}\n`).join('') + book.asks.map(([p, q]) => `a ${p} ${q}\n`).join('');
      assert.equal(createHash('sha256').update(canonical).digest('hex'), want.canonical_sha256, symbol);
    }
  };
  test(`${exchange}: the recorded session proves itself, and its last books are the expected ones`, { skip }, () => {
    const { dir, out } = land(session(exchange, samples), ['--set', 'output.roll_secs=5']); // books over many files
    const rolled = verify(out);
    assert.deepEqual(rolled.findings, []);
    books(out);
    assert.equal(runSync(['compact', out]).code, 0);
    const merged = verify(out);
    assert.deepEqual(merged.findings, []);
    assert.equal(merged.rows, rolled.rows);
    assert.ok(merged.files < rolled.files / 2);
    books(out);
    remove(dir);
  });
}

for (const [exchange, date] of [['gate-io', '20210422'], ['gate-io-futures', '20230524']]) {
  const { samples, skip } = samplesOf(exchange.replace('gate-io-', 'gate-').replace('gate-io', 'gate-spot'));
  test(`${exchange}: the recorded session's books at its end are the expected ones`, { skip }, () => {
    const all = [
      ...linesOf(samples, `replay-${date}.tsv`).map((line) => line.split('\t')).map(([time, way, payload], i) =>
        [Number(time), i, way === '>' ? recording(exchange, [{ payload, recv: micros(time) }])[0].replace('\trecv\t', '\tsent\t') : recording(exchange, [{ payload, recv: micros(time) }])[0]]),
      ...linesOf(samples, `rest-order_book-${date}.tsv`).map((line) => line.split('\t')).map(([time, url, body]) => [Number(time), -1, restLine(exchange, micros(time), `https://x/api/v4${url}`, body)]),
    ].sort((a, b) => a[0] - b[0] || a[1] - b[1]);
    const last = Math.ceil(Number(all.at(-1)[0]));
    const { dir, out } = land([...all.map((entry) => entry[2]), ...[1, 2, 3, 4].map((s) => `${last + s}\t-\t0\ttick\t\t`)]);
    assert.deepEqual(verify(out).findings, []);
    const expected = Object.entries(JSON.parse(readFileSync(join(samples, `expected-books-${date}.json`), 'utf8')));
    assert.ok(expected.length >= 3);
    for (const [symbol, want] of expected) {
      const book = JSON.parse(runSync(['book', out, symbol, '--at', '2100-01-01', '--levels', '8192', '--json']).stdout);
      assert.deepEqual([book.update_id, book.bid_levels, book.ask_levels], [want.final_id, want.bid_levels, want.ask_levels], symbol);
      assert.deepEqual(book.bids.slice(0, want.best_bids.length).map((l) => l.map(Number)), want.best_bids.map((l) => l.map(Number)), symbol);
      assert.deepEqual(book.asks.slice(0, want.best_asks.length).map((l) => l.map(Number)), want.best_asks.map((l) => l.map(Number)), symbol);
    }
    remove(dir);
  });
}

test('what is not ours to prove is refused with words', () => {
  const dir = folder('verify-none');
  for (const [args, words] of [[[], /usage: market-data verify/], [[`${dir}/none`], /no such folder/], [[dir], /no manifest folder: not a data folder/],
    [[dir, '--since', 'yesterday'], /--since: yesterday: a time is wanted/], [[dir, '--exchange', 'nyse'], /nyse: no such exchange/]]) {
    const run = runSync(['verify', ...args]);
    assert.equal(run.code, 2, args.join(' '));
    assert.match(run.stderr, words);
  }
  const lines = linesOf(join(dirname(new URL(import.meta.url).pathname), '../data/binance'), 'messages.jsonl').slice(0, 20)
    .map((payload, i) => ({ payload, recv: (1732320100000000n + BigInt(i) * 1000n).toString() }));
  const csv = land(recording('binance', lines), ['--set', 'output.format=csv']);
  assert.deepEqual(verify(csv.out).findings, []);
  assert.ok(channels(csv.out).length === 0);
  remove(csv.dir);
  remove(dir);
});
