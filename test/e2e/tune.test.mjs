// Self-tuning in the real program: what it changes stands in the journal, so that files made live and files
// rederived are the same bytes; switched off, it leaves no trace; and a plan that does not fit gets smaller row groups.
import assert from 'node:assert/strict';
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { test } from 'node:test';
import { files, folder, record, remove, run, runSync, simulate } from './lib.mjs';

const sums = (dir) => files(dir).filter((file) => file.endsWith('.parquet'))
  .map((file) => `${file.slice(dir.length)} ${createHash('sha256').update(readFileSync(file)).digest('hex')}`);

function rederive(journal, ...args) {
  const out = folder('rederived');
  const { code, stderr } = runSync(['rederive', journal, '-o', out, ...args]);
  assert.equal(code, 0, stderr);
  const found = sums(out);
  remove(out);
  return found;
}

test('tuned files are rederived byte for byte; without tuning there are none of its records', { timeout: 120000 }, async () => {
  const dir = folder('tune');
  const sim = await simulate(dir, { symbols: 40, rate: 300 });
  const args = ['--set', 'journal.keep=1', '--set', 'output.parquet_idle_close_secs=1', '--set', 'output.parquet_max_open_files=8', '--seconds', 10];
  const tuned = record(sim, `${dir}/tuned`, args);
  const plain = record(sim, `${dir}/plain`, [...args, '--set', 'tune=off']);
  for (const recorder of [tuned, plain]) assert.equal((await recorder.exited).code, 0, recorder.stdout + recorder.stderr);
  await sim.stop();

  const [, moved] = /(\d+) idle closes moved/.exec(tuned.stdout);
  assert.ok(Number(moved) > 10, tuned.stdout);
  assert.doesNotMatch(plain.stdout, /tuning/);
  const text = runSync(['journal', 'cat', `${dir}/tuned/journal`]).stdout;
  assert.match(text, /\ttune\t/);
  assert.doesNotMatch(runSync(['journal', 'cat', `${dir}/plain/journal`]).stdout, /\ttune\t/);

  const live = sums(`${dir}/tuned`);
  assert.deepEqual(rederive(`${dir}/tuned/journal`), live);
  assert.deepEqual(rederive(`${dir}/plain/journal`), sums(`${dir}/plain`));
  // the same journal without its tune records, and with them but tuning off: the same files, other than the tuned ones
  const bare = run(['journal', 'load', `${dir}/bare`], { input: text.split('\n').filter((line) => !/\ttune\t/.test(line)).join('\n') });
  assert.equal((await bare.exited).code, 0, bare.stderr);
  const rows = (list) => list.map((line) => line.split(' ')[0]); // local_seq counts the records, so only names are compared
  assert.deepEqual(rows(rederive(`${dir}/bare/journal`)), rows(rederive(`${dir}/tuned/journal`, '--set', 'tune=off')));
  assert.notDeepEqual(rows(rederive(`${dir}/bare/journal`)), rows(live));
  remove(dir);
});

test('a plan that does not fit gets smaller row groups, or with tune off is refused with three settings', () => {
  const args = ['check', '--offline', '--set', 'binance.symbols=BTCUSDT,ETHUSDT', '--set', 'output.parquet_batch_size=400000', '--set', 'memory.budget=80MiB'];
  const tuned = runSync(args);
  assert.equal(tuned.code, 0, tuned.stdout + tuned.stderr);
  assert.match(tuned.stdout, /row groups of (50000|100000|200000) rows, not 400000: memory\.budget/);
  const plain = runSync([...args, '--set', 'tune=off']);
  assert.equal(plain.code, 3);
  assert.match(plain.stderr, /it fits with: \S+=\S+, \S+=\S+, \S+=\S+ /);
});
