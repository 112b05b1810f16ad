// Issue 4's soak, short: 100 symbols x 3 channels over four rolls of 4 s, and the same in a control group. MD_LONG=1 (make
// soak): 1,000 symbols x 3 channels at about 20,000 messages a second for 10 minutes over rolls of 200 s, and the same
// under 256 MiB. Memory is flat and within the budget, nothing is dropped, every file is sealed, four readers agree.
import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { folder, long, remove } from './lib.mjs';
import { assertFlat, assertOneTable, assertReadersAgree, assertSealed, assertWithin, makeGroup, sealRest, soak } from './soak.mjs';

const size = long ? { symbols: 1000, rate: 10000, seconds: 600, rollSecs: 200, settings: ['memory.book_bytes=52MiB', 'output.parquet_max_open_files=1024'] }
  : { symbols: 100, rate: 1000, seconds: 13, rollSecs: 4, settings: ['memory.book_bytes=16MiB'] };

async function soaked(t, dir, options = {}) {
  const run = await soak(dir, { ...size, ...options });
  const { recorder, samples, status } = run;
  assert.match(recorder.stdout, /drops +0; undecodable 0$/m);
  assert.match(recorder.stdout, /gaps +0; 0 ids missing/);
  assert.equal(status.violations, 0);
  const { peak, planned } = assertWithin(recorder, 128 << 20);
  const { middle, last } = assertFlat(samples);
  const starts = await sealRest(dir, run);
  const sealed = assertSealed(`${dir}/data`);
  const trades = new Set(sealed.filter((file) => file.includes('channel=trades')).map((file) => /symbol=([^/]+)/.exec(file)[1]));
  t.diagnostic(`${status.messages_sent} messages sent, ${/messages +\d+ \(.*\), (\d+) a second/.exec(recorder.stdout)[1]} a second; ${sealed.length} files` +
    ` (${starts} further starts to seal the rest); peak ${(peak / 2 ** 20).toFixed(1)} MiB of ${(planned / 2 ** 20).toFixed(1)} planned; own memory ` +
    `${(middle / 2 ** 20).toFixed(1)} MiB in the middle third, ${(last / 2 ** 20).toFixed(1)} in the last`);
  assert.ok(trades.size >= (options.symbols ?? size.symbols) * 0.9, `${trades.size} symbols traded`);
  return run;
}

describe('the soak', { concurrency: !long }, () => {
test('the soak: flat memory, no drops, every file sealed; four readers agree on each; two read all as one table', { timeout: 1200000 }, async (t) => {
  const dir = folder('soak');
  await soaked(t, dir);
  const files = await assertReadersAgree(`${dir}/data`);
  const rows = await assertOneTable(`${dir}/data`);
  t.diagnostic(`${files} files read alike by four readers; ${rows} trades as one table`);
  remove(dir);
});

test('the same in a control group of 256 MiB, with two cores shared: not killed', { timeout: 1200000 }, async (t) => {
  const group = makeGroup(256 << 20);
  if (!group) return t.skip('this machine lets us make no control group with a memory limit');
  const dir = folder('soak-group');
  try {
    await soaked(t, dir, { onStart: (pid) => group.add(pid), ...(long ? {} : { seconds: 9, rollSecs: 3, symbols: 60 }) });
    assert.equal(group.killed(), 0);
    assert.ok(group.peak() <= 256 << 20);
    t.diagnostic(`the group's peak, page cache and all: ${(group.peak() / 2 ** 20).toFixed(1)} MiB`);
  } finally {
    await group.remove();
  }
  remove(dir);
});
});
