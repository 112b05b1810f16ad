// parquet_duckdb.mjs [OUT_DIR]: DuckDB's COPY on the rows bench_parquet wrote in the same run, side by
// side with our writer: ns of CPU a row (one thread), bytes a row, memory. DuckDB first loads the rows
// into a table of its own, which is not timed; zstd level 3 and groups of 50,000 rows, as ours. Medians
// of 3. Adds its figures to OUT_DIR/parquet.json (default build/bench).
import { createRequire } from 'node:module'
import { readFileSync, statSync, writeFileSync, existsSync, unlinkSync } from 'node:fs'
import { join } from 'node:path'

const require = createRequire(new URL('../test/e2e/package.json', import.meta.url))
const { DuckDBInstance } = require('@duckdb/node-api')

const folder = process.argv[2] ?? 'build/bench'
const figuresPath = join(folder, 'parquet.json')
if (!existsSync(figuresPath)) {
  console.error(`${figuresPath}: not there; run bench_parquet ${folder} first`)
  process.exit(1)
}
const figures = JSON.parse(readFileSync(figuresPath, 'utf8'))
const median = (values) => [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]
const megabytes = (bytes) => bytes / 1048576

async function copy(db, name, rows, options) {
  const out = join(folder, `${name}_duckdb.parquet`)
  const before = process.cpuUsage()
  await db.run(`copy ${name} to '${out}' (format parquet, compression zstd, compression_level 3,
                row_group_size 50000${options})`)
  const cpu = process.cpuUsage(before)
  const bytes = statSync(out).size / rows
  unlinkSync(out)
  return { ns: ((cpu.user + cpu.system) * 1000) / rows, bytes }
}

async function measure(db, name, options = '') {
  const rows = figures[name].rows
  const runs = []
  for (let run = 0; run < 3; run++) {
    runs.push(await copy(db, name, rows, options))
  }
  return { rows, ns: median(runs.map((run) => run.ns)), bytes: runs[0].bytes }
}

function show(label, result) {
  const ns = result.ns.toFixed(1).padStart(8)
  console.log(`${label.padEnd(34)} ${ns} ns a row  ${result.bytes.toFixed(2).padStart(7)} bytes a row`)
}

const instance = await DuckDBInstance.create(':memory:', { threads: '1' })
const db = await instance.connect()
const result = {}
for (const name of ['trades', 'depth']) {
  await db.run(`create table ${name} as from '${join(folder, `${name}.parquet`)}'`)
  const memory = process.memoryUsage().rss
  const v1 = await measure(db, name)
  const v2 = await measure(db, name, ', parquet_version v2')
  const peak = process.resourceUsage().maxRSS * 1024
  result[name] = { rows: v1.rows, ns: v1.ns, bytes: v1.bytes, ns_v2: v2.ns, bytes_v2: v2.bytes }
  result[name].copy_memory_bytes = Math.max(0, peak - memory)
  show(`${name}: ours (append and write)`, figures[name])
  show(`${name}: DuckDB COPY`, v1)
  show(`${name}: DuckDB COPY, parquet_version v2`, v2)
  await db.run(`drop table ${name}`)
}
console.log(
  `memory: ours ${megabytes(figures.memory_bytes).toFixed(1)} MiB, taken once (the bench's process at its ` +
    `peak ${megabytes(figures.peak_rss_bytes).toFixed(0)} MiB); DuckDB's process at its peak ${(process.resourceUsage().maxRSS / 1024).toFixed(0)} MiB with the table loaded, ` +
    `${megabytes(result.trades.copy_memory_bytes).toFixed(0)} MiB more than before the COPY of trades`
)
figures.duckdb = result
writeFileSync(figuresPath, JSON.stringify(figures, null, 2) + '\n')
