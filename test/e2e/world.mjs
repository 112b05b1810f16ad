// A program in a world of the test's making (world.c): slow or lying disk, clock off, allocations that fail.
import { openSync, readSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { build } from './lib.mjs';

const fields = ['diskBytesPerSecond', 'syncMs', 'clockNs', 'mallocFailAt', 'mallocFailEvery', 'diskErrno', 'syncLies', 'writtenBytes', 'mallocs', 'mallocsFailed',
  'syncedInode', 'syncedBytes'];

// { env, set({ field: number }), get(field) }; `set` works while the program runs.
export function makeWorld(dir, values = {}) {
  const path = join(dir, 'world');
  writeFileSync(path, Buffer.alloc(fields.length * 8));
  const fd = openSync(path, 'r+');
  const bytes = Buffer.alloc(8);
  const world = {
    env: { LD_PRELOAD: join(build, 'test/e2e/world.so'), MD_WORLD: path },
    set(changes) {
      for (const [field, value] of Object.entries(changes)) {
        if (!fields.includes(field)) throw new Error(`no such thing in the world: ${field}`);
        bytes.writeBigInt64LE(BigInt(value));
        writeSync(fd, bytes, 0, 8, fields.indexOf(field) * 8);
      }
    },
    get(field) {
      readSync(fd, bytes, 0, 8, fields.indexOf(field) * 8);
      return Number(bytes.readBigInt64LE());
    },
  };
  world.set(values);
  return world;
}
