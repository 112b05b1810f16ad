// faults.md row 4: power cuts on real file systems (MD_LONG=1, as root). The recorder writes to an ext4 or xfs in an
// image file; a reflink copy of the image is what the disk held at that moment, without what the kernel still kept in
// memory. The copy is mounted as a machine that comes up again would, held against what syncs had promised before, and
// recorded into.
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { mkdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { describe, test } from 'node:test';
import { channels, files, folder, long, query, record, remove, runSync, simulate, sleep, table } from './lib.mjs';
import { makeWorld } from './world.mjs';

const able = spawnSync('mkfs.xfs', ['-V']).status === 0 && spawnSync('mkfs.ext4', ['-V']).status === 0 && spawnSync('losetup', ['-f']).status === 0;
const skip = !long ? 'MD_LONG=1 runs it' : process.getuid() !== 0 || !able ? 'takes root, loop devices, mkfs.ext4 and mkfs.xfs (xfsprogs)' : false;
const settings = ['--set', 'journal.keep=1', '--set', 'output.roll_secs=1', '--set', 'output.parquet_max_open_files=16',
  '--set', 'binance.channels=trades,book_ticker,incremental_book_L2'];
const cuts = 50;

function must(command, ...args) {
  const { status, stderr, error } = spawnSync(command, args, { encoding: 'utf8' });
  assert.equal(status, 0, `${command} ${args.join(' ')}: ${stderr ?? error}`);
}

// An image file with a file system of a kind, on an xfs that can copy it by reference. Each is unmounted in the end.
class Disk {
  constructor(dir, kind) {
    Object.assign(this, { dir, kind, mounts: [], image: `${dir}/outer/disk.img` });
    must('truncate', '-s', '4G', `${dir}/outer.img`);
    must('mkfs.xfs', '-q', '-m', 'reflink=1', `${dir}/outer.img`);
    this.mount(`${dir}/outer.img`, `${dir}/outer`);
    must('truncate', '-s', '1G', this.image);
    must(`mkfs.${kind}`, '-q', this.image);
    this.root = `${dir}/disk`;
    this.mount(this.image, this.root, kind === 'xfs' ? ['-o', 'nouuid'] : []);
  }

  mount(image, at, options = []) {
    mkdirSync(at, { recursive: true });
    must('mount', '-o', 'loop', ...options, image, at);
    this.mounts.push(at);
  }

  unmount(at) {
    must('umount', at);
    this.mounts.splice(this.mounts.indexOf(at), 1);
  }

  // What the disk holds now, mounted at a place of its own.
  cut(name) {
    const copy = `${this.dir}/outer/${name}.img`;
    must('cp', '--reflink=always', this.image, copy);
    return { copy, root: `${this.dir}/${name}` };
  }

  end() {
    for (const at of [...this.mounts].reverse()) this.unmount(at);
  }
}

const journalOf = (data) => files(`${data}/journal`).map((path) => ({ path, inode: statSync(path).ino, name: path.slice(data.length) }));

// What is wrong with the journal on the disk that came up again, given what had been promised before the cut.
function brokenPromise(data, kept, promise) {
  const original = journalOf(data);
  const last = original.find((file) => file.inode === promise.inode);
  assert.ok(last, 'the promised file is no longer there');
  for (const file of original) {
    if (file.name > last.name) continue;
    const want = readFileSync(file.path).subarray(0, file.name === last.name ? promise.bytes : undefined);
    let found;
    try { found = readFileSync(`${kept}${file.name}`); } catch { return `${file.name} is not there`; }
    if (found.length < want.length || !found.subarray(0, want.length).equals(want)) return `${file.name}: ${found.length} of ${want.length} bytes promised`;
  }
  return undefined;
}

async function recover(sim, kept) {
  const again = record(sim, kept, [...settings, '--seconds', 1]);
  const { code } = await again.exited;
  assert.equal(code, 0, again.stdout + again.stderr);
  const proof = runSync(['verify', kept]);
  assert.equal(proof.code, 0, proof.stdout + proof.stderr);
  const twice = await query(`SELECT symbol, trade_id, count(*) AS n FROM ${table(kept, 'trades')} GROUP BY ALL HAVING n > 1`);
  assert.deepEqual(twice, []);
  assert.ok(channels(kept).includes('trades'));
}

// Cuts the power `times` times while a recorder runs; says how often a promise was broken. A kept one is recorded into.
async function cutPower(t, kind, times, world) {
  const dir = folder('power');
  const disk = new Disk(dir, kind);
  try {
    const sim = await simulate(dir, { symbols: 12, rate: 1500, args: ['--limits', 'weight=900000000'] });
    const around = makeWorld(dir, world);
    const data = `${disk.root}/data`;
    const recorder = record(sim, data, settings, { env: around.env });
    await recorder.until(/recording;/);
    await sleep(3000);
    let broken = 0;
    let seed = 4711;
    for (let i = 0; i < times; i++) {
      seed = (seed * 1103515245 + 12345) % 2147483648;
      await sleep(100 + (seed % 1400));
      const promise = { inode: around.get('syncedInode'), bytes: around.get('syncedBytes') };
      const { copy, root } = disk.cut(`cut${i}`);
      disk.mount(copy, root, kind === 'xfs' ? ['-o', 'nouuid'] : []);
      const wrong = promise.inode === 0 ? undefined : brokenPromise(data, `${root}/data`, promise);
      if (wrong) {
        broken++;
      } else if (!world) {
        await recover(sim, `${root}/data`);
      }
      disk.unmount(root);
      rmSync(copy);
      if (wrong && !world) assert.fail(`cut ${i}: ${wrong}`);
    }
    recorder.child.kill('SIGTERM');
    const { code } = await recorder.exited;
    assert.equal(code, 0, recorder.stderr);
    await sim.stop();
    t.diagnostic(`${kind}: ${times} cuts, ${broken} promises broken`);
    return broken;
  } finally {
    disk.end();
    remove(dir);
  }
}

describe('power cuts on real file systems', { skip }, () => {
  for (const kind of ['ext4', 'xfs']) {
    test(`${kind}: what a sync promised is there after each of ${cuts} cuts, and the recorder goes on from it`, { timeout: 900000 }, async (t) => {
      assert.equal(await cutPower(t, kind, cuts), 0);
    });
    test(`control: ${kind} with syncs that do nothing loses what was promised`, { timeout: 300000 }, async (t) => {
      assert.ok(await cutPower(t, kind, 5, { syncLies: 1 }) > 0);
    });
  }
});
