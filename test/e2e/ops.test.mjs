// Running it: configuration, profiles, manual, completions, logs, signals, reload.
import test from 'node:test';
import assert from 'node:assert/strict';
import { existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { basename, dirname, join, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { files, folder, program, query, record, remove, run, runSync, simulate, sleep } from './lib.mjs';

const root = resolve(dirname(fileURLToPath(import.meta.url)), '../..');

test('config prints every setting; what it prints is the configuration it was made from', () => {
  const dir = folder('ops');
  const set = ['--set', 'profile=small', '--set', "binance.symbols=BTCUSDT,*USDT,-*UP*,top:5", '--set', "data_dir=it's here",
    '--set', 'output.parquet_zstd_level=7'];
  const first = runSync(['config', ...set]);
  assert.equal(first.code, 0, first.stderr);
  assert.match(first.stdout, /^ {2}parquet_zstd_level: 7$/m);
  assert.match(first.stdout, /^ {2}parquet_batch_size: 5000$/m, 'the profile');
  assert.match(first.stdout, /^ {2}#roll_secs: 3600$/m, 'defaults are comments');
  writeFileSync(join(dir, 'c.yaml'), first.stdout);
  assert.equal(runSync(['config', '-c', join(dir, 'c.yaml')]).stdout, first.stdout);
  const hidden = runSync(['config', '--set', 'net.proxy=http://me:word-that-nobody-sees@host:80']).stdout;
  assert.match(hidden, /^ {2}#proxy: 'http:\/\/me:\*\*\*@host:80'$/m);
  assert.doesNotMatch(hidden, /nobody-sees/);
  remove(dir);
});

test('the example configuration is what the program prints, and is valid', () => {
  const example = join(root, 'contrib/config.example.yaml');
  assert.equal(readFileSync(example, 'utf8'), runSync(['config'], { env: { MARKET_DATA_HTTP_LISTEN: 'localhost:9464' } }).stdout, 'market-data config > contrib/config.example.yaml');
  assert.match(runSync(['check', '--offline', '-c', example, '--set', 'binance.symbols=BTCUSDT']).stdout, /1 symbols/);
});

test('a profile gives way to what is set, wherever that stands, and check shows both', () => {
  const args = ['check', '--offline', '--set', 'binance.symbols=BTCUSDT', '--set', 'output.parquet_batch_size=50000', '--set', 'profile=small'];
  const check = runSync(args);
  assert.equal(check.code, 0, check.stderr);
  assert.match(check.stdout, /profile small advises\n(.*\n)* +output\.parquet_batch_size +5000, but is set to 50000\n/);
  assert.match(check.stdout, /memory\.budget +256MiB\n/);
  assert.match(check.stdout, /of 256\.0 MiB allowed/);
});

test('the manual page is valid and names every command and setting', () => {
  const page = runSync(['manual']).stdout;
  const man = spawnSync('man', ['--warnings', '-l', '-'], { input: page, encoding: 'utf8', env: { ...process.env, MANWIDTH: '100', LC_ALL: 'C.UTF-8' } });
  const plain = man.error ? page.replace(/\\-/g, '-') : man.stdout;
  if (!man.error) assert.equal(man.stderr, '');
  for (const command of ['record', 'check', 'symbols', 'rederive', 'config', 'manual', 'completion']) assert.match(plain, new RegExp(`\\b${command}\\b`));
  for (const name of ['output.parquet_zstd_level', 'kucoin.subscribe_delay_ms', 'MARKET_DATA_LOG_LEVEL']) assert.ok(plain.includes(name), name);
});

test('bash completes commands, options and settings', () => {
  const script = `${runSync(['completion', 'bash']).stdout}
    complete_it() { COMP_WORDS=("$@"); COMP_CWORD=$(($# - 1)); COMPREPLY=(); compopt() { :; }; _market_data; echo "\${COMPREPLY[*]}"; }
    complete_it market-data re; complete_it market-data record --set log.; complete_it market-data record --sec`;
  const bash = spawnSync('bash', ['-c', script], { encoding: 'utf8' });
  assert.equal(bash.stderr, '');
  const [commands, settings, options] = bash.stdout.trim().split('\n');
  assert.match(commands, /record/);
  assert.match(commands, /rederive/);
  assert.match(settings, /log\.level=/);
  assert.equal(options, '--seconds');
  assert.match(runSync(['completion', 'zsh']).stdout, /^#compdef market-data\n/);
  assert.equal(runSync(['completion', 'fish']).code, 2);
});

test('the log goes to a file that turns over; SIGUSR1 makes it more talkative, SIGUSR2 as set', { timeout: 60000 }, async () => {
  const dir = folder('ops-log');
  const sim = await simulate(dir, { symbols: 4, rate: 100 });
  const log = join(dir, 'log');
  const recorder = record(sim, join(dir, 'data'), ['--set', `log.file=${log}`, '--set', 'log.files=2']);
  await recorder.until(/recording/);
  assert.equal(statSync(log).mode & 0o777, 0o640);
  recorder.child.kill('SIGUSR1');
  for (let i = 0; i < 200 && !/level is info now/.test(readFileSync(log, 'utf8')); i++) await sleep(100);
  assert.match(readFileSync(log, 'utf8'), /warn {2}log_level {2}the level is info now/);
  recorder.child.kill('SIGUSR2');
  for (let i = 0; i < 200 && !/level is warn now/.test(readFileSync(log, 'utf8')); i++) await sleep(100);
  assert.match(readFileSync(log, 'utf8'), /log_level {2}the level is warn now/);
  recorder.child.kill('SIGTERM');
  assert.equal((await recorder.exited).code, 0, recorder.stderr);
  assert.equal(recorder.stderr, '');
  await sim.stop();
  const refused = runSync(['check', '--offline', '--set', 'binance.symbols=BTCUSDT', '--set', `log.file=${dir}/none/log`]);
  assert.equal(refused.code, 2);
  assert.match(refused.stderr, /log\.file: .*none\/log: cannot be written/);
  assert.ok(!existsSync(`${dir}/none`));
  remove(dir);
});

test('row 21: SIGHUP a hundred times, bad and good: a bad file is refused by its line, nothing is dropped', { timeout: 120000 }, async () => {
  const dir = folder('ops-hup');
  const sim = await simulate(dir, { symbols: 12, rate: 300 });
  const file = join(dir, 'c.yaml');
  const urls = sim.settings.filter((word) => word !== '--set').map((pair) => pair.split('='));
  const sections = {};
  for (const [name, ...value] of urls) { const [section, key] = name.split('.'); (sections[section] ??= {})[key] = value.join('='); }
  const [first, second, third, fourth] = sim.symbols.split(',');
  const write = (symbols, more = '') => {
    const all = structuredClone(sections);
    all.binance.symbols = `[${symbols.join(', ')}]`;
    writeFileSync(file, Object.entries(all).map(([s, keys]) => `${s}:\n${Object.entries(keys).map(([k, v]) => `  ${k}: ${v}\n`).join('')}`).join('') + more);
  };
  const log = join(dir, 'log');
  const logged = () => readFileSync(log, 'utf8');
  const until = async (pattern, ms = 30000) => {
    const end = Date.now() + ms;
    while (!pattern.test(logged())) {
      assert.ok(Date.now() < end, `no ${pattern} in:\n${logged()}`);
      await sleep(50);
    }
  };
  write([first, second], `log:\n  file: ${log}\n`);
  const recorder = run(['record', '-c', file, '--set', `data_dir=${dir}/data`, '--set', 'binance.channels=trades']);
  await recorder.until(/recording/);
  const subscribed = async () => (await sim.status()).streams_subscribed; // since the start
  for (let i = 0; i < 200 && (await subscribed()) < 2; i++) await sleep(100);

  // a symbol more, one less; the others' connection stays
  write([first, third], `log:\n  file: ${log}\n  level: info\n`);
  recorder.child.kill('SIGHUP');
  await until(new RegExp(`symbol_gone .*${second}`));
  await until(new RegExp(`symbol_new .*${third}`));
  await until(/reload +configuration read again: 2 settings changed/);
  await until(/level is info now/);

  // an unknown symbol, by name; the symbols in use stay
  write([first, `${third}X`], `log:\n  file: ${log}\n  level: info\n`);
  recorder.child.kill('SIGHUP');
  await until(new RegExp(`reload_refused +.*${third}X.*did you mean ${third}.*the symbols in use stay`));

  // a setting that needs a restart is named, and a limit is taken up
  write([first, third], `log:\n  file: ${log}\n  level: info\noutput:\n  format: csv\n`);
  recorder.child.kill('SIGHUP');
  await until(/reload_later .*next start: output\.format/);

  for (let i = 0; i < 50; i++) {
    writeFileSync(file, 'output:\n  parquet_zstd_level: 20\n');
    recorder.child.kill('SIGHUP');
    await sleep(15);
    write([first, third], `log:\n  file: ${log}\n  level: info\n`);
    recorder.child.kill('SIGHUP');
    await sleep(15);
  }
  await until(/reload_refused +.*c\.yaml:2: output\.parquet_zstd_level: 20: allowed is 1 to 19 level; the settings in use stay/);
  await sleep(500);
  write([first, third, fourth], `log:\n  file: ${log}\n  level: info\n`);
  recorder.child.kill('SIGHUP');
  await until(new RegExp(`symbol_new .*${fourth}`));
  for (let i = 0; i < 200 && (await subscribed()) < 4; i++) await sleep(100);
  const after = await sim.status();
  assert.equal(after.streams_subscribed, 4, 'two at the start, one for each new symbol');
  assert.equal(after.websockets, 1, 'no connection was made anew');
  assert.equal(after.violations, 0);
  recorder.child.kill('SIGTERM');
  assert.equal((await recorder.exited).code, 0, recorder.stderr);
  assert.match(recorder.stdout, /reconnects 0/);
  assert.match(recorder.stdout, /drops +0; undecodable 0/);
  await sim.stop();
  remove(dir);
});

// A configuration file for a recorder of `sim`.
function configure(sim, dir, more = '') {
  const sections = {};
  for (const pair of sim.settings.filter((word) => word !== '--set')) {
    const [name, ...value] = pair.split('=');
    const [section, key] = name.split('.');
    (sections[section] ??= {})[key] = value.join('=');
  }
  sections[sim.section].symbols = `[${sim.symbols}]`;
  const text = Object.entries(sections).map(([s, keys]) => `${s}:\n${Object.entries(keys).map(([k, v]) => `  ${k}: ${v}\n`).join('')}`).join('');
  writeFileSync(join(dir, 'config.yaml'), `data_dir: ${dir}/data\n${text}${more}`);
  return join(dir, 'config.yaml');
}

test('the daemon script starts, tells, reloads, restarts and stops one recorder', { timeout: 120000 }, async () => {
  const dir = folder('ops-daemon');
  const sim = await simulate(dir, { symbols: 4, rate: 200 });
  const config = configure(sim, dir);
  const env = { ...process.env, MD_CONFIG: config, MD_RUN: join(dir, 'run'), MD_PROGRAM: program, MD_USER: 'nobody-of-that-name' };
  const daemon = (command) => {
    const result = spawnSync(join(root, 'scripts/market-data-daemon.sh'), [command], { encoding: 'utf8', env, timeout: 60000 });
    return { code: result.status, stdout: result.stdout, stderr: result.stderr };
  };
  assert.equal(daemon('status').code, 3);
  assert.deepEqual(daemon('stop'), { code: 0, stdout: 'not running\n', stderr: '' });
  const pidOf = () => Number(readFileSync(join(dir, 'run/pid'), 'utf8').split(' ')[0]);
  try {
    const first = daemon('start');
    assert.match(first.stdout, /^started, pid \d+; log: /, first.stderr);
    const pid = pidOf();
    assert.match(daemon('start').stdout, new RegExp(`running already, pid ${pid}`));
    assert.match(daemon('status').stdout, new RegExp(`running, pid ${pid}, for \\d+:\\d+:\\d+, [1-9]\\d* MiB`));
    assert.equal(daemon('reload').code, 0);
    for (let i = 0; i < 200 && !/configuration read again/.test(readFileSync(join(dir, 'run/log'), 'utf8')); i++) await sleep(100);
    assert.match(readFileSync(join(dir, 'run/log'), 'utf8'), /configuration read again: 0 settings changed/);
    assert.match(daemon('restart').stdout, /stopped\nstarted, pid/);
    assert.notEqual(pidOf(), pid);
    process.kill(pidOf(), 'SIGKILL');
    for (let i = 0; i < 200 && daemon('status').code !== 3; i++) await sleep(100);
    assert.match(daemon('start').stdout, /started, pid/, 'what died is not taken for running');
    assert.equal(daemon('stop').stdout, 'stopped\n');
    writeFileSync(config, 'output:\n  format: orc\n');
    const wrong = daemon('start');
    assert.equal(wrong.code, 1);
    assert.match(wrong.stderr, /config\.yaml:2: output\.format: orc: allowed is parquet\|jsonl\|csv/);
  } finally {
    daemon('stop');
  }
  assert.equal(daemon('start it').code, 2);
  await sim.stop();
  remove(dir);
});

test('a service manager is told: ready, alive, stopping', { timeout: 60000 }, async () => {
  const dir = folder('ops-notify');
  const sim = await simulate(dir, { symbols: 4, rate: 200 });
  const listener = run(['-u', '-c', `
import os, socket, sys
s = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
s.bind(sys.argv[1])
print("bound")
while True:
    print(s.recv(4096).decode().replace("\\n", " | "))`, join(dir, 'socket')], { command: 'python3' });
  await listener.until(/bound/);
  const recorder = record(sim, join(dir, 'data'), [], { env: { NOTIFY_SOCKET: join(dir, 'socket') } });
  await listener.until(/READY=1 \| STATUS=recording/);
  await listener.until(/WATCHDOG=1\n(.*\n)*WATCHDOG=1\n/);
  await listener.until(/STATUS=\d+ of 1 connections live, \d+ messages, 0 dropped/);
  recorder.child.kill('SIGTERM');
  assert.equal((await recorder.exited).code, 0, recorder.stderr);
  await listener.until(/STOPPING=1/);
  listener.child.kill('SIGKILL');
  await sim.stop();
  remove(dir);
});

// Adjacent C literals as one, formats as a mark.
const wordsOfSources = () => {
  const out = spawnSync('bash', ['-c', `cat ${root}/src/*/*.c ${root}/src/*/*.h`], { encoding: 'utf8', maxBuffer: 1 << 26 }).stdout;
  return out.replace(/"\s*\n?\s*"/g, '').replace(/\\"/g, '"');
};

test('the troubleshooting page quotes the program', () => {
  const words = wordsOfSources();
  const page = readFileSync(join(root, 'docs/troubleshooting.md'), 'utf8');
  const rows = page.split('\n').filter((line) => line.startsWith('| `'));
  assert.ok(rows.length > 30);
  for (const row of rows) {
    const cells = row.split('|').map((cell) => cell.trim());
    const quoted = [...(cells.length > 4 && /^`[a-z_]+`/.test(cells[1]) && !/ /.test(cells[1].split(',')[0]) ? `${cells[1]} ${cells[2]}` : cells[1]).matchAll(/`([^`]+)`/g)];
    for (const [, text] of quoted) {
      for (const part of text.split('...').map((piece) => piece.trim().replace(/^[:;,(]+|[:;,(]+$/g, '').trim()).filter((piece) => piece.length > 3)) {
        assert.ok(words.includes(part), `"${part}" of "${text}" is not in the sources`);
      }
    }
  }
});

test('the recipes of docs/recipes.md run on a fresh recording', { timeout: 120000 }, async (t) => {
  const dir = folder('recipes');
  const sim = await simulate(dir, { symbols: 4, rate: 400, faults: 'every 40 drop trade\n' });
  const recorder = record(sim, join(dir, 'data'), ['--seconds', '4']);
  assert.equal((await recorder.exited).code, 0, recorder.stderr);
  mkdirSync(join(dir, 'csv'));
  const asCsv = record(sim, join(dir, 'csv/data'), ['--seconds', '3', '--set', 'output.format=csv']);
  assert.equal((await asCsv.exited).code, 0, asCsv.stderr);
  await sim.stop();
  const some = files(join(dir, 'data')).find((file) => /channel=trades.*\.parquet$/.test(file));
  writeFileSync(join(dirname(some), `.inprogress-${basename(some)}.part`), 'not yet'); // as a file under way
  const page = readFileSync(join(root, 'docs/recipes.md'), 'utf8');
  const blocks = (language) => [...page.matchAll(new RegExp(`^\`\`\`${language}\n([^]*?)^\`\`\``, 'gm'))].map(([, text]) => text);
  const sql = blocks('sql');
  assert.equal(sql.length, 5);
  for (const text of sql) {
    const rows = await query(text.replaceAll("'data/", `'${dir}/data/`));
    assert.ok(rows.length > 0, `no rows: ${text}`);
  }
  const pl = (await import('nodejs-polars')).default;
  const [file] = (await query(`SELECT file FROM glob('${dir}/data/exchange=binance/channel=trades/**/*.parquet')`)).map((row) => row.file);
  const bars = new Function('pl', 'file', `${blocks('js')[0]}; return bars;`)(pl, file);
  assert.ok(bars.height === 1 && bars.columns.join() === 'symbol,high,volume', bars.toString());
  await t.test('pandas', { skip: spawnSync('/usr/bin/python3', ['-c', 'import pandas']).status === 0 ? false : 'python3-pandas is not installed' }, () => {
    const pandas = spawnSync('/usr/bin/python3', ['-c', blocks('python')[0]], { encoding: 'utf8', cwd: join(dir, 'csv') });
    assert.equal(pandas.status, 0, pandas.stderr);
    assert.match(pandas.stdout, /price +amount\nsymbol/);
  });
  remove(dir);
});
