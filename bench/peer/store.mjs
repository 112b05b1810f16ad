// store.mjs WHO SOURCE OUT: what bench_store runs beside us, a process each time. Reads SOURCE (a Parquet
// file of all rows in arrival order) and writes below OUT, a folder for each symbol, zstd level 3:
//   duckdb          COPY with PARTITION_BY, settings as they come; groups of 50,000 rows as ours
//   duckdb-one      the same, told to keep rows until the end so that a partition is one file
//   duckdb-nothing  reads every column of SOURCE, writes nothing
//   polars          has no partitioned write in JavaScript: the frame is read, cut with partitionBy, each
//                   part written with writeParquet (its own level and group size)
//   polars-nothing  reads SOURCE into a frame
//   check           prints rows and a sum of hashes over every row of SOURCE, then the same of OUT
import { createRequire } from 'node:module'
import { mkdirSync } from 'node:fs'
import { join } from 'node:path'

const require = createRequire(new URL('../../test/e2e/package.json', import.meta.url))
const [who, source, out] = process.argv.slice(2)

async function duck(...statements) {
  const { DuckDBInstance } = require('@duckdb/node-api')
  const db = await (await DuckDBInstance.create(':memory:')).connect()
  let rows
  for (const sql of statements) rows = (await db.runAndReadAll(sql)).getRows()
  return rows
}

const copy = `copy (from '${source}') to '${out}'
  (format parquet, partition_by (symbol), compression zstd, compression_level 3, row_group_size 50000)`

function frame() {
  const pl = require('nodejs-polars')
  return pl.readParquet(source)
}

// trades and depth have these in common, or one of them each
const columns = `symbol, timestamp, local_timestamp, side, price, amount, conn_id, local_seq`
const sum = (files) =>
  `select count(*)::varchar, sum(hash(${columns}))::varchar from read_parquet('${files}', hive_partitioning = true)`

const jobs = {
  duckdb: () => duck(copy),
  'duckdb-one': () =>
    duck('set partitioned_write_max_open_files = 100000', 'set partitioned_write_flush_threshold = 1000000000', copy),
  'duckdb-nothing': () => duck(`select last(columns(*)) from '${source}'`),
  polars: () => {
    for (const part of frame().partitionBy('symbol', true, true)) {
      const folder = join(out, `symbol=${part.getColumn('symbol').get(0)}`)
      mkdirSync(folder, { recursive: true })
      part.writeParquet(join(folder, 'data.parquet'), { compression: 'zstd' })
    }
  },
  'polars-nothing': () => frame().height,
  check: async () => {
    const [[a], [b]] = [await duck(sum(source)), await duck(sum(join(out, '**/*.parquet')))]
    if (a.join() !== b.join()) throw new Error(`not the same rows: source ${a}, written ${b}`)
    return a
  },
}
console.log(String(await jobs[who]()))
