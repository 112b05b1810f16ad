// After a crash the recorder is started for far fewer symbols: what the journal holds of the others lands all the same.
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { difference, folder, record, remove, runSync, simulate, sleep } from './lib.mjs';

test('a smaller plan after a crash still lands all that the journal holds', { timeout: 60000 }, async () => {
  const dir = folder('fewer');
  const sim = await simulate(dir, { symbols: 200, rate: 1000 });
  const args = ['--set', 'binance.channels=trades', '--set', 'journal.keep=1', '--set', 'http.listen=off'];
  const recorder = record(sim, `${dir}/data`, args);
  await recorder.until(/recording;/);
  await sleep(3000);
  recorder.child.kill('SIGKILL');
  await recorder.ended;
  await sim.stop();
  const again = runSync(['record', '--offline', ...sim.settings, ...args, '--set', `data_dir=${dir}/data`, '--set', 'binance.symbols=BTCUSDT', '--seconds', '1']);
  assert.equal(again.code, 0, again.stderr);
  assert.match(again.stderr, /journal_larger .*planned are/);
  const whole = runSync(['rederive', `${dir}/data/journal`, '-o', `${dir}/whole`]);
  assert.equal(whole.code, 0, whole.stderr);
  assert.equal(await difference(`${dir}/data`, `${dir}/whole`, 'trades'), 0);
  remove(dir);
});
