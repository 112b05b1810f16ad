// What a person meets at the command line: refusals that name the place and the remedy, the documented
// exit codes, and the faults of the outside world at start (certificate, proxy, folder, disk).
import assert from 'node:assert/strict';
import { mkdirSync, readFileSync, symlinkSync, writeFileSync } from 'node:fs';
import net from 'node:net';
import { join } from 'node:path';
import { test } from 'node:test';
import { files, folder, query, record, remove, run, runSync, simulate, table } from './lib.mjs';

const refusal = (args, code, pattern, options) => {
  const got = runSync(args, options);
  assert.equal(got.code, code, `${args.join(' ')}\n${got.stdout}${got.stderr}`);
  assert.match(got.stderr, pattern);
  assert.ok(got.stderr.trim().split('\n').length <= 2, `more than a clear line:\n${got.stderr}`);
};

test('help, version and a wrong command', () => {
  const help = runSync(['--help']);
  assert.equal(help.code, 0);
  for (const command of ['record', 'demo', 'check', 'symbols', 'inspect', 'journal', 'rederive', 'simulate', 'config', 'manual', 'completion']) {
    assert.match(help.stdout, new RegExp(`market-data ${command} `));
    assert.equal(runSync([command, '--help']).code, 0);
  }
  assert.match(runSync(['record', '--help']).stdout, /output\.parquet_zstd_level +1-19 level; default 3/);
  assert.match(runSync(['--version']).stdout, /^market-data \d+\.\d+\.\d+\n$/);
  refusal(['rekord'], 2, /rekord: no such command/);
  refusal(['record', '--wrong'], 2, /--wrong: no such option/);
});

test('configuration: wrong keys, types and ranges name file, line, range and the nearest key', () => {
  const dir = folder('cli');
  const file = join(dir, 'c.yaml');
  writeFileSync(file, 'data_dir: x\noutput:\n  parquet_zstd_levl: 3\n');
  refusal(['check', '-c', file], 2, /c\.yaml:3: output\.parquet_zstd_levl: no such setting; did you mean output\.parquet_zstd_level\?/);
  writeFileSync(file, 'output:\n  parquet_zstd_level: 20\n');
  refusal(['check', '-c', file], 2, /c\.yaml:2: output\.parquet_zstd_level: 20: allowed is 1 to 19/);
  writeFileSync(file, 'output:\n  format: [parquet\n');
  refusal(['check', '-c', file], 2, /c\.yaml:\d+: not YAML/);
  refusal(['check', '-c', join(dir, 'none.yaml')], 2, /No such file/);
  refusal(['check', '--set', 'output.format=orc'], 2, /output\.format: orc: allowed is parquet\|jsonl\|csv/);
  refusal(['check'], 2, /nothing to record: set the symbols of an exchange, for instance --set binance\.symbols=/, { env: { MARKET_DATA_LOG: 'error' } });
  refusal(['check'], 2, /MARKET_DATA_OUTPUT_FORMT: no such setting/, { env: { MARKET_DATA_OUTPUT_FORMT: 'csv' } });
  remove(dir);
});

test('check prints the plan and the budget line by line; a plan that does not fit names what would', () => {
  const plan = runSync(['check', '--offline', '--set', 'binance.symbols=BTCUSDT,ETHUSDT', '--set', 'memory.budget=256MiB']);
  assert.equal(plan.code, 0, plan.stderr);
  assert.match(plan.stdout, /2 symbols, 6 streams over 1 connection, all asked for after 0\.0 s/);
  assert.match(plan.stdout, /frame ring \(net to land\) +16\.\d MiB/);
  assert.match(plan.stdout, /sum +\d+\.\d MiB of 256\.0 MiB allowed/);
  const names = Array.from({ length: 2000 }, (_, i) => `S${i}USDT`).join(',');
  refusal(['check', '--offline', '--set', `binance.symbols=${names}`, '--set', 'memory.budget=16MiB'], 3,
    /memory\.budget: the plan needs .* allowed are 16\.0 MiB; it fits with: memory\.queue_bytes=.*, .*=.*, .*=/);
});

test('an unknown symbol is named with the nearest, before any connection', async () => {
  const dir = folder('symbol');
  const sim = await simulate(dir, { symbols: 8 });
  const args = ['record', '--set', `data_dir=${dir}/d`, ...sim.settings, '--seconds', '1'];
  refusal([...args, '--set', 'binance.symbols=BTCUSDT,ETHUSDX'], 2, /ETHUSDX: no such symbol at the venue; did you mean ETHUSDT\?/);
  const listed = runSync(['symbols', 'binance', 'BTC*', ...sim.settings]);
  assert.equal(listed.code, 0);
  assert.match(listed.stdout, /^BTCUSDT$/m);
  refusal(['symbols', 'binanse'], 2, /binanse: no such exchange/);
  const status = await sim.status();
  assert.equal(status.websockets, 0, JSON.stringify(status));
  await sim.stop();
  remove(dir);
});

test('a certificate that is not trusted, a wrong proxy, a wrong folder: one clear line and its exit code', async () => {
  const dir = folder('fault');
  const sim = await simulate(dir, { symbols: 4 });
  const base = ['record', '--set', 'binance.symbols=BTCUSDT', '--seconds', '5', '--set', `data_dir=${dir}/d`];
  const urls = sim.settings.filter((s, i, all) => !s.includes('ca_file') && !(s === '--set' && all[i + 1]?.includes('ca_file')));
  refusal([...base, ...urls], 6, /certificate|self.signed|SSL/i);
  writeFileSync(join(dir, 'empty.pem'), 'no certificate\n');
  refusal([...base, ...urls, '--set', `net.ca_file=${dir}/empty.pem`], 6, /ca_?file|certificate/i);
  refusal([...base, ...sim.settings, '--set', 'net.proxy=ftp://x'], 6, /net\.proxy: http:\/\/.* or socks5h:\/\//);
  const dead = net.createServer().listen(0, '127.0.0.1');
  await new Promise((done) => dead.once('listening', done));
  const port = dead.address().port;
  await new Promise((done) => dead.close(done));
  refusal([...base, ...sim.settings, '--set', `net.proxy=http://127.0.0.1:${port}`], 6, /proxy/i);
  writeFileSync(join(dir, 'file'), '');
  const folderArgs = ['record', '--set', 'binance.symbols=BTCUSDT', '--seconds', '1', ...sim.settings];
  refusal([...folderArgs, '--set', `data_dir=${dir}/file`], 4, /data_dir|Not a directory|folder/);
  refusal([...folderArgs, '--set', `data_dir=${dir}/no/such/parent`], 4, /no\/such\/parent/);
  await sim.stop();
  remove(dir);
});

test('symbols that look like paths stay below the data folder', async () => {
  const dir = folder('names');
  const recording = ['../x', 'a/b', '.', 'CON', '%2e%2e', 'é', 'x'.repeat(300), 'btcusdt', 'BTCUSDT'].map((symbol, i) =>
    `${1700000000 + i}.5\tbinance\t1\trecv\t\t${JSON.stringify({ stream: 'x@trade', data: {
      e: 'trade', E: 1700000000000, s: symbol, t: 10 + i, p: '1.5', q: '2', T: 1700000000000, m: true } })}`).join('\n');
  const loaded = runSync(['journal', 'load', `${dir}/in`], { input: `${recording}\n` });
  assert.equal(loaded.code, 0, loaded.stderr);
  mkdirSync(`${dir}/out`);
  const landed = runSync(['rederive', `${dir}/in/journal`, '-o', `${dir}/out`]);
  assert.equal(landed.code, 0, landed.stderr);
  const rows = await query(`SELECT symbol FROM ${table(`${dir}/out`, 'trades')} ORDER BY local_seq`);
  assert.deepEqual(rows.map((r) => r.symbol), ['../x', 'a/b', '.', 'CON', '%2e%2e', 'é', 'x'.repeat(300), 'btcusdt', 'BTCUSDT']);
  for (const file of files(dir)) {
    assert.ok(file.startsWith(`${dir}/in/`) || file.startsWith(`${dir}/out/`), file);
    for (const part of file.slice(dir.length).split('/')) assert.match(part, /^[A-Za-z0-9._=%~-]*$/);
  }
  remove(dir);
});

test('a link below the data folder is not followed', async () => {
  const dir = folder('link');
  mkdirSync(`${dir}/elsewhere`);
  mkdirSync(`${dir}/out`);
  symlinkSync(`${dir}/elsewhere`, `${dir}/out/exchange=binance`);
  const line = `1700000000\tbinance\t1\trecv\t\t{"stream":"btcusdt@trade","data":{"e":"trade","E":1,"s":"BTCUSDT","t":1,"p":"1","q":"1","T":1,"m":true}}\n`;
  assert.equal(runSync(['journal', 'load', `${dir}/in`], { input: line }).code, 0);
  const landed = run(['rederive', `${dir}/in/journal`, '-o', `${dir}/out`]);
  const timer = setTimeout(() => landed.child.kill('SIGKILL'), 5000);
  const { code } = await landed.exited;
  clearTimeout(timer);
  assert.notEqual(code, 0);
  assert.deepEqual(files(`${dir}/elsewhere`), []);
  remove(dir);
});

test('journal cat and load are inverse; a wrong line is refused by number; rederive is byte-identical', async () => {
  const dir = folder('text');
  const sim = await simulate(dir, { symbols: 6, rate: 800 });
  const recorder = record(sim, `${dir}/data`, ['--seconds', 3, '--set', 'journal.keep=1']);
  assert.equal((await recorder.exited).code, 0, recorder.stderr);
  await sim.stop();
  const text = runSync(['journal', 'cat', `${dir}/data/journal`]).stdout;
  assert.ok(text.split('\n').length > 500);
  assert.equal(runSync(['journal', 'load', `${dir}/copy`], { input: text }).code, 0);
  const strip = (t) => t.split('\n').filter((l) => l).length;
  assert.equal(runSync(['journal', 'cat', `${dir}/copy/journal`]).stdout, text);
  assert.ok(strip(text) > 500);
  for (const out of ['one', 'two']) {
    mkdirSync(`${dir}/${out}`);
    assert.equal(runSync(['rederive', `${dir}/data/journal`, '-o', `${dir}/${out}`]).code, 0);
  }
  const parquet = (root) => files(root).filter((f) => f.endsWith('.parquet')).map((f) => f.slice(root.length));
  assert.deepEqual(parquet(`${dir}/one`), parquet(`${dir}/two`));
  assert.deepEqual(parquet(`${dir}/one`), parquet(`${dir}/data`));
  for (const file of parquet(`${dir}/one`)) {
    const same = runSync(['inspect', `${dir}/one${file}`]).stdout.replaceAll('/one/', '/two/');
    assert.equal(runSync(['inspect', `${dir}/two${file}`]).stdout, same);
  }
  for (const file of parquet(`${dir}/one`)) {
    assert.ok(readFileSync(`${dir}/one${file}`).equals(readFileSync(`${dir}/two${file}`)), `${file} differs between two derivations`);
    assert.ok(readFileSync(`${dir}/one${file}`).equals(readFileSync(`${dir}/data${file}`)), `${file} differs from live`);
  }
  refusal(['journal', 'load', `${dir}/bad`, '--strict'], 2, /line 1/, { input: 'no tabs here\n' });
  remove(dir);
});

test('JSONL and CSV hold the same rows as Parquet', async () => {
  const dir = folder('formats');
  const sim = await simulate(dir, { symbols: 4, rate: 400 });
  const recorder = record(sim, `${dir}/data`, ['--seconds', 3, '--set', 'journal.keep=1']);
  assert.equal((await recorder.exited).code, 0, recorder.stderr);
  await sim.stop();
  for (const format of ['jsonl', 'csv']) {
    mkdirSync(`${dir}/${format}`);
    const landed = runSync(['rederive', `${dir}/data/journal`, '-o', `${dir}/${format}`, '--set', `output.format=${format}`]);
    assert.equal(landed.code, 0, landed.stderr);
  }
  const parquet = `(SELECT symbol, trade_id, side, price, amount, flags, local_seq FROM ${table(`${dir}/data`, 'trades')})`;
  const jsonl = `(SELECT symbol, trade_id, side, price, amount, flags, local_seq FROM read_json('${dir}/jsonl/exchange=*/channel=trades/**/*.jsonl.zst', format = 'newline_delimited', compression = 'zstd', hive_partitioning = false))`;
  const csv = `(SELECT symbol, trade_id, side, price, amount, flags, local_seq FROM read_csv('${dir}/csv/exchange=*/channel=trades/**/*.csv.gz', hive_partitioning = false))`;
  const [{ n }] = await query(`SELECT count(*) AS n FROM ${parquet}`);
  assert.ok(Number(n) > 100);
  for (const other of [jsonl, csv]) {
    const [{ d }] = await query(`SELECT count(*) AS d FROM ((${parquet} EXCEPT ALL ${other}) UNION ALL (${other} EXCEPT ALL ${parquet}))`);
    assert.equal(Number(d), 0);
  }
  remove(dir);
});

test('the demo ends well and says where everything is', () => {
  const dir = folder('demo');
  const demo = runSync(['demo', '-o', `${dir}/d`, '--seconds', '8', '--symbols', '24', '--rate', '600']);
  assert.equal(demo.code, 0, demo.stdout + demo.stderr);
  assert.match(demo.stdout, /messages +\d+/);
  assert.match(demo.stdout, /drops +0; undecodable 0/);
  assert.match(demo.stdout, /gaps +0; .* books: 24 whole/);
  for (const exchange of ['binance', 'binance-futures', 'kucoin', 'kucoin-futures', 'gate-io', 'gate-io-futures']) {
    const [, sent, violations] = new RegExp(`^  ${exchange} +sent (\\d+) messages; protocol violations (\\d+)$`, 'm').exec(demo.stdout);
    assert.ok(Number(sent) > 100, exchange);
    assert.equal(violations, '0', exchange);
  }
  assert.match(demo.stdout, /memory +peak \d+\.\d MiB; planned \d+\.\d MiB of/);
  assert.match(demo.stdout, /duckdb -c/);
  assert.match(demo.stdout, /scan_parquet/);
  assert.equal(demo.stderr, '');
  remove(dir);
});
