// faults.md rows 1, 2 and 20: kill -9 at random moments and at each named step, under load, and SIGTERM.
// The journal is kept, so that what landed live, over all restarts, can be held against the same journal
// landed once (rederive), and against the simulator's contiguous ids.
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { channels, difference, files, folder, long, query, record, remove, run, runSync, simulate, sleep, table } from './lib.mjs';

const settings = ['--set', 'journal.keep=1', '--set', 'output.roll_secs=1', '--set', 'output.parquet_max_open_files=16',
  '--set', 'binance.channels=trades,agg_trades,book_ticker,incremental_book_L2'];

// Nothing altered, nothing unreadable: live rows, over all restarts, are those of one landing of the journal.
async function sameRederived(dir) {
  const again = folder('rederived');
  const rederived = runSync(['rederive', `${dir}/journal`, '-o', again]);
  assert.equal(rederived.code, 0, rederived.stderr);
  assert.deepEqual(files(dir).filter((f) => f.includes('.inprogress-')), []);
  assert.deepEqual(channels(dir), channels(again));
  for (const channel of channels(dir)) {
    assert.equal(await difference(dir, again, channel), 0, `${channel}: live and rederived rows differ`);
  }
  remove(again);
}

// Every trade between the first and the last of each symbol is there: backfill has brought what the outages missed.
async function nothingMissing(dir) {
  const missing = await query(`SELECT symbol, flags & 1 AS aggregate, max(trade_id) - min(trade_id) + 1 - count(*) AS missing
    FROM ${table(dir, 'trades')} GROUP BY ALL HAVING missing != 0`);
  assert.deepEqual(missing, []);
  const left = await query(`SELECT count(*) AS n FROM ${table(dir, 'gaps')} WHERE channel = 'trades' AND resolved_by = 'none'`);
  const filled = await query(`SELECT sum(missing) AS ids, (SELECT count(*) FROM ${table(dir, 'trades')} WHERE flags & 8 = 8) AS rows
    FROM ${table(dir, 'gaps')} WHERE channel = 'trades' AND resolved_by = 'backfill'`);
  assert.equal(Number(left[0].n), 0, 'holes that were not filled');
  assert.ok(Number(filled[0].ids) > 0, 'nothing was backfilled');
  assert.equal(String(filled[0].ids), String(filled[0].rows), 'each id that a gap row names came once by REST');
}

// Holes of depth are the outages, all of them and nothing else: each id is between two files' rows or in a gap row.
async function depthHolesAreOutages(dir) {
  const holes = await query(`WITH rows AS (SELECT DISTINCT symbol, local_seq, first_update_id AS f, last_update_id AS l
      FROM ${table(dir, 'incremental_book_L2')} WHERE NOT is_snapshot),
    steps AS (SELECT symbol, lag(l) OVER (PARTITION BY symbol ORDER BY local_seq) AS before, f FROM rows)
    SELECT symbol, before + 1 AS from_id, f - 1 AS to_id FROM steps WHERE f > before + 1 ORDER BY ALL`);
  const told = await query(`SELECT symbol, from_id, to_id, kind FROM ${table(dir, 'gaps')}
    WHERE channel = 'incremental_book_L2' AND from_id IS NOT NULL ORDER BY symbol, from_id`);
  assert.deepEqual(told.map(({ symbol, from_id, to_id }) => ({ symbol, from_id, to_id })), holes);
  assert.deepEqual([...new Set(told.map((gap) => gap.kind))], ['crash']);
  assert.ok(holes.length > 0);
}

function verified(dir) {
  const { code, stdout, stderr } = runSync(['verify', dir, '--json']);
  assert.ok(code === 0 || code === 1, stderr);
  assert.deepEqual(JSON.parse(stdout).findings, []);
}

// `kept`: the whole journal is there to be landed again. `full`: backfill has had its time.
async function check(dir, kept = true, full = false) {
  if (kept) await sameRederived(dir);
  verified(dir);
  const twice = await query(`SELECT symbol, flags & 1, trade_id, count(*) AS n FROM ${table(dir, 'trades')}
    GROUP BY ALL HAVING n > 1`);
  assert.deepEqual(twice, []);
  if (full) {
    await nothingMissing(dir);
    await depthHolesAreOutages(dir);
    return;
  }
  // ids that are absent between the first and the last of each symbol = ids that the gaps table names. A hole that a
  // stop told as not filled may be told again, as filled, by a later run.
  const holes = await query(`SELECT sum(last - first + 1 - n) AS missing FROM (
    SELECT symbol, flags & 1, min(trade_id) AS first, max(trade_id) AS last, count(*) AS n FROM ${table(dir, 'trades')} GROUP BY ALL)`);
  const known = channels(dir).includes('gaps')
    ? await query(`SELECT coalesce(sum(missing), 0) AS missing FROM ${table(dir, 'gaps')}
        WHERE channel = 'trades' AND missing > 0 AND resolved_by = 'none'`)
    : [{ missing: '0' }];
  assert.equal(String(holes[0].missing), String(known[0].missing), 'ids missing without a gap row');
}

async function finish(sim, dir, args = settings, seconds = 2) {
  const last = record(sim, dir, [...args, '--seconds', seconds]);
  const { code } = await last.exited;
  assert.equal(code, 0, last.stdout + last.stderr);
  return last;
}

test('kill -9 at random moments: nothing is lost, nothing twice, no unreadable file; what the outages missed is filled', { timeout: 300000 }, async () => {
  const dir = folder('kill');
  // fifty starts in a minute are no venue's habit: its REST weight would not do for them
  const sim = await simulate(dir, { symbols: 12, rate: 1500, args: ['--limits', 'weight=900000000'] });
  const data = `${dir}/data`;
  const kills = long ? 2000 : 50;
  let seed = 12345;
  for (let i = 0; i < kills; i++) {
    seed = (seed * 1103515245 + 12345) % 2147483648;
    const recorder = record(sim, data, settings);
    await sleep(50 + (seed % 1950));
    recorder.child.kill('SIGKILL');
    const { signal, code } = await recorder.exited;
    assert.equal(signal, 'SIGKILL', `ended by itself with ${code}: ${recorder.stdout}${recorder.stderr}`);
  }
  await finish(sim, data, [...settings, '--set', 'backfill.weight_percent=100', '--set', 'binance.rest_weight_percent=100'], 12);
  await sim.stop();
  await check(data, true, true);
  const crashes = await query(`SELECT count(*) AS n FROM ${table(data, 'gaps')} WHERE kind = 'crash'`);
  assert.ok(Number(crashes[0].n) > 0, 'no crash was written down');
  remove(dir);
});

const steps = ['journal_after_write', 'journal_after_sync', 'journal_before_trim', 'seal_after_tmp_create', 'seal_after_row_group',
  'seal_before_footer', 'seal_before_rename', 'seal_before_dirsync', 'seal_before_manifest', 'seal_after_manifest'];

describe('faults.md row 2', { concurrency: 4 }, () => {
  for (const step of steps) test(`killed at ${step}, again and again: the same`, { timeout: 300000 }, async () => {
    const dir = folder('step');
    const sim = await simulate(dir, { symbols: 6, rate: 600 });
    const data = `${dir}/data`;
    const times = long ? 200 : 20;
    let died = 0;
    const trims = step === 'journal_before_trim'; // only a journal that is not kept is trimmed
    const args = trims ? [...settings, '--set', 'journal.keep=0'] : settings;
    for (let i = 0; i < times; i++) {
      const pass = trims ? 1 : 1 + (i % 4);
      const recorder = record(sim, data, [...args, '--seconds', 8], { env: { MD_FAILPOINT: `${step}:${pass}` } });
      const { signal } = await recorder.exited;
      died += signal === 'SIGKILL';
    }
    // the first run has but one segment: nothing to trim
    assert.ok(died >= times - (trims ? 1 : 0), `${step} was reached in ${died} of ${times} runs`);
    await finish(sim, data, args);
    await sim.stop();
    await check(data, !trims);
    remove(dir);
  });
});

describe('a large journal that a kill -9 left', { concurrency: 1 }, () => {
  const dir = folder('replay');
  const data = `${dir}/data`;
  const told = ['--set', 'log.level=info', '--set', 'output.roll_secs=3600']; // nothing is sealed: all of it is replayed
  const often = ['--set', 'backfill.weight_percent=100', '--set', 'binance.rest_weight_percent=100'];
  let sim;
  before(async () => {
    sim = await simulate(dir, { symbols: 12, rate: 14000, args: ['--limits', 'weight=900000000'] });
    const killed = record(sim, data, [...settings, ...told]);
    await killed.until(/recording;/);
    await sleep(10000);
    killed.child.kill('SIGKILL');
    await killed.exited;
  });
  after(async () => { await sim.stop(); remove(dir); });

  test('a second SIGTERM while it is replayed ends at once: what came is counted, the journal stays', { timeout: 60000 }, async () => {
    const recorder = record(sim, data, [...settings, ...told]);
    await recorder.until(/recording;/);
    recorder.child.kill('SIGTERM');
    await sleep(20); // two at once would be one
    recorder.child.kill('SIGTERM');
    const { code } = await recorder.exited;
    assert.equal(code, 4, recorder.stdout + recorder.stderr);
    assert.match(recorder.stderr, /not everything is sealed: the journal/);
    assert.doesNotMatch(recorder.stderr, /the journal of earlier runs is replayed/);
    assert.deepEqual(channels(data), []);
  });

  test('capture goes on while it is replayed, behind it in the journal; nothing is missing', { timeout: 120000 }, async () => {
    const started = Date.now();
    const recorder = await finish(sim, data, [...settings, ...told, ...often], 10);
    const line = /(\S+Z) info {2}replayed .* replayed: (\d+) records in [\d.]+ s; (\d+) records came meanwhile/.exec(recorder.stderr);
    assert.ok(line, recorder.stderr);
    assert.ok(Number(line[2]) > 100000, `a replay of ${line[2]} records is too short to see anything`);
    const [meanwhile] = await query(`SELECT count(*) AS n FROM ${table(data, 'trades')} WHERE flags & 8 = 0
      AND local_timestamp > epoch_ms(${started}::BIGINT) AND local_timestamp < '${line[1]}'::TIMESTAMPTZ::TIMESTAMP`);
    assert.ok(Number(meanwhile.n) > 0, 'no trade was received before the replay was over');
    assert.ok(Number(line[3]) >= Number(meanwhile.n));
    const [conns] = await query(`SELECT max(conn_id) FILTER (local_timestamp < epoch_ms(${started}::BIGINT)) AS old,
      min(conn_id) FILTER (local_timestamp >= epoch_ms(${started}::BIGINT)) AS new FROM ${table(data, 'trades')} WHERE flags & 8 = 0`);
    assert.ok(conns.new > conns.old, 'connection numbers go on, though the journal was not replayed yet');
    await check(data, true, true);
    const [crash] = await query(`SELECT count(*) AS n, epoch_ms(min("end")) AS first FROM ${table(data, 'gaps')} WHERE kind = 'crash'`);
    assert.ok(Number(crash.n) > 0, 'no crash was written down');
    assert.ok(Number(crash.first) < Date.parse(line[1]), 'the outage lasted longer than the replay');
  });

  test('a SIGTERM while it is replayed: it is landed to the end, with what came, and sealed', { timeout: 60000 }, async () => {
    const recorder = record(sim, data, [...settings, ...told]);
    await recorder.until(/recording;/);
    recorder.child.kill('SIGTERM');
    const { code } = await recorder.exited;
    assert.equal(code, 0, recorder.stdout + recorder.stderr);
    assert.match(recorder.stdout, /replayed +\d{6,} records/); // the journal is kept
    assert.doesNotMatch(recorder.stdout, /not kept/);
    await check(data);
  });
});

test('SIGTERM under load: exit 0 within 10 s, everything sealed; a second recorder is refused meanwhile', { timeout: 60000 }, async () => {
  const dir = folder('term');
  const sim = await simulate(dir, { symbols: 30, rate: 5000 });
  const data = `${dir}/data`;
  const recorder = record(sim, data, settings);
  await recorder.until(/recording;/);
  await sleep(2500);
  const second = runSync(['record', '--set', `data_dir=${data}`, '--set', 'binance.symbols=BTCUSDT', '--seconds', '1', ...sim.settings]);
  assert.equal(second.code, 5, second.stderr);
  assert.match(second.stderr, /in use by another recorder/);
  const asked = Date.now();
  recorder.child.kill('SIGTERM');
  const { code } = await recorder.exited;
  assert.equal(code, 0, recorder.stderr);
  assert.ok(Date.now() - asked < 10000);
  assert.match(recorder.stdout, /drops +0;/);
  await check(data);
  const status = await sim.status();
  assert.equal(status.violations, 0, JSON.stringify(status));
  await sim.stop();
  remove(dir);
});

test('a second SIGTERM ends at once; the journal lands the rest at the next start', { timeout: 60000 }, async () => {
  const dir = folder('term2');
  const sim = await simulate(dir, { symbols: 30, rate: 5000 });
  const data = `${dir}/data`;
  const recorder = record(sim, data, settings);
  await recorder.until(/recording;/);
  await sleep(1500);
  recorder.child.kill('SIGTERM');
  recorder.child.kill('SIGTERM');
  const { code, signal } = await recorder.exited;
  assert.equal(signal, null);
  assert.ok(code === 0 || code === 4, `exit ${code}`);
  await finish(sim, data);
  await sim.stop();
  await check(data);
  remove(dir);
});
