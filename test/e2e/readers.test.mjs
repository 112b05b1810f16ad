// Our Parquet files as four independent readers see them: DuckDB, Polars, parquet-wasm (the Rust
// parquet crate) and hyparquet. Each column of each file must have the same values in all of them,
// null for null and bit for bit, and the counts, bounds and sums that make_parquet wrote down while
// it made the rows. Run by scripts/test; by hand: MD_BUILD=build node --test test/e2e/
import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readFileSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { tableFromIPC } from 'apache-arrow'
import { DuckDBInstance } from '@duckdb/node-api'
import {
  parquetMetadata, parquetReadObjects, parquetSchema, readColumnIndex, readOffsetIndex,
} from 'hyparquet'
import { compressors } from 'hyparquet-compressors'
import pl from 'nodejs-polars'

const here = fileURLToPath(new URL('.', import.meta.url))
const build = resolve(process.env.MD_BUILD ?? join(here, '../../build'))
const folder = mkdtempSync(join(tmpdir(), 'md-readers-'))
execFileSync(join(build, 'test/e2e/make_parquet'), [folder], { stdio: 'inherit' })
const names = readdirSync(folder)
  .filter((name) => name.endsWith('.parquet'))
  .map((name) => name.slice(0, -8))
const expected = Object.fromEntries(
  names.map((name) => [name, JSON.parse(readFileSync(join(folder, `${name}.json`), 'utf8'))])
)
const path = (name) => join(folder, `${name}.parquet`)
const quoted = (name) => `'${path(name)}'`

let wasm
let db
before(async () => {
  wasm = await import('parquet-wasm')
  db = await (await DuckDBInstance.create(':memory:')).connect()
})
after(() => rmSync(folder, { recursive: true, force: true }))

async function rows(sql) {
  return (await db.runAndReadAll(sql)).getRowObjects()
}

// ---- one form for all values: null, bigint (i32, i64, time in microseconds), number, boolean, string

function int(value) {
  return value === null || value === undefined ? null : BigInt(value)
}

async function duckdbColumn(name, column) {
  const time = column.type === 'time'
  const what = time ? `epoch_us("${column.name}")` : `"${column.name}"`
  const got = (await db.runAndReadAll(`select ${what} from ${quoted(name)}`)).getColumns()[0] ?? []
  return ['i64', 'i32', 'time'].includes(column.type) ? got.map(int) : [...got]
}

function polarsColumn(frame, column) {
  const series = frame.getColumn(column.name)
  if (column.type === 'time' || column.type === 'i64') {
    // as text: the binding hands out JavaScript numbers, which end at 2^53
    const text = series.cast(pl.Int64).cast(pl.Utf8).toArray()
    return text.map(int)
  }
  const values = [...series.toArray()].map((value) => value ?? null)
  return column.type === 'i32' ? values.map(int) : values
}

function arrowColumn(table, column) {
  const vector = table.getChild(column.name)
  const values = new Array(vector.length)
  for (let i = 0, at = 0; at < vector.data.length; at++) {
    const data = vector.data[at]
    const time = column.type === 'time'
    for (let k = 0; k < data.length; k++, i++) {
      if (!data.getValid(k)) {
        values[i] = null
      } else if (time) {
        values[i] = data.values[k] // the raw microseconds: get() would make them milliseconds
      } else {
        values[i] = vector.get(i)
      }
    }
  }
  return ['i64', 'i32', 'time'].includes(column.type) ? values.map(int) : values
}

function wasmTable(name) {
  return tableFromIPC(wasm.readParquet(readFileSync(path(name))).intoIPCStream())
}

function asyncBuffer(name) {
  const bytes = readFileSync(path(name))
  const buffer = bytes.buffer.slice(bytes.byteOffset, bytes.byteOffset + bytes.byteLength)
  return { byteLength: buffer.byteLength, slice: async (from, to) => buffer.slice(from, to) }
}

const rawTimes = {
  timestampFromMicroseconds: (us) => us,
  timestampFromMilliseconds: (ms) => ms,
  timestampFromNanoseconds: (ns) => ns,
  dateFromDays: (days) => days,
  stringFromBytes: (bytes) => bytes && new TextDecoder().decode(bytes),
}

async function hyparquetRows(name) {
  return parquetReadObjects({ file: asyncBuffer(name), compressors, parsers: rawTimes })
}

function hyparquetColumn(objects, column) {
  const values = objects.map((row) => row[column.name] ?? null)
  return ['i64', 'i32', 'time'].includes(column.type) ? values.map(int) : values
}

function columnIndex(view, chunk, schema) {
  if (chunk.column_index_offset === undefined) return undefined
  const reader = { view, offset: Number(chunk.column_index_offset) }
  const bounds = readColumnIndex(reader, schema, rawTimes)
  assert.equal(reader.offset - Number(chunk.column_index_offset), chunk.column_index_length)
  return bounds
}

// ---- comparing

function sameValue(a, b) {
  return Object.is(a, b) || (a === 0 && b === 0)
}

function assertSameColumn(a, b, what) {
  assert.equal(a.length, b.length, `${what}: rows`)
  for (let i = 0; i < a.length; i++) {
    if (!sameValue(a[i], b[i])) {
      assert.fail(`${what}: row ${i}: ${String(a[i])} is not ${String(b[i])}`)
    }
  }
}

function byBytes(a, b) {
  return Buffer.compare(Buffer.from(a), Buffer.from(b))
}

function assertExpected(values, column, what) {
  const set = values.filter((value) => value !== null)
  assert.equal(values.length - set.length, column.nulls, `${what}: nulls`)
  if (set.length === 0) {
    assert.equal(column.min, undefined, what)
    return
  }
  if (column.type === 'text') {
    const sorted = [...new Set(set)].sort(byBytes)
    assert.equal(sorted[0], column.min, `${what}: min`)
    assert.equal(sorted.at(-1), column.max, `${what}: max`)
    return
  }
  if (column.type === 'f64') {
    assert.equal(set.reduce((a, b) => (b < a ? b : a)), column.min, `${what}: min`)
    assert.equal(set.reduce((a, b) => (b > a ? b : a)), column.max, `${what}: max`)
    const sum = set.reduce((a, b) => a + b)
    if (Math.abs(column.sum) < 2 ** 50) {
      assert.equal(sum, column.sum, `${what}: sum`)
    }
    return
  }
  const whole = set.map((value) => BigInt(value))
  assert.equal(whole.reduce((a, b) => (b < a ? b : a)), BigInt(column.min), `${what}: min`)
  assert.equal(whole.reduce((a, b) => (b > a ? b : a)), BigInt(column.max), `${what}: max`)
  assert.equal(whole.reduce((a, b) => a + b), BigInt(column.sum), `${what}: sum`)
}

describe('values', () => {
  for (const name of names) {
    test(`${name}: four readers see the rows that were made`, async () => {
      const { rows: count, columns } = expected[name]
      const frame = pl.readParquet(path(name))
      const table = wasmTable(name)
      const objects = await hyparquetRows(name)
      assert.equal(frame.height, count)
      assert.equal(table.numRows, count)
      assert.equal(objects.length, count)
      assert.deepEqual(frame.columns, columns.map((column) => column.name))
      for (const column of columns) {
        const duckdb = await duckdbColumn(name, column)
        assertExpected(duckdb, column, `duckdb ${column.name}`)
        assertSameColumn(polarsColumn(frame, column), duckdb, `polars ${column.name}`)
        assertSameColumn(arrowColumn(table, column), duckdb, `parquet-wasm ${column.name}`)
        assertSameColumn(hyparquetColumn(objects, column), duckdb, `hyparquet ${column.name}`)
      }
    })
  }
})

describe('types', () => {
  const duckdbTypes = {
    i64: 'BIGINT', i32: 'INTEGER', f64: 'DOUBLE', bool: 'BOOLEAN', text: 'VARCHAR',
    time: 'TIMESTAMP WITH TIME ZONE',
  }
  const arrowTypes = {
    i64: 'Int64', i32: 'Int32', f64: 'Float64', bool: 'Bool', text: 'Utf8', time: 'Timestamp<MICROSECOND, UTC>',
  }
  for (const name of names) {
    test(`${name}: names, types and nullability`, async () => {
      const { columns } = expected[name]
      const described = await rows(`describe select * from ${quoted(name)}`)
      assert.deepEqual(
        described.map((row) => [row.column_name, row.column_type]),
        columns.map((column) => [column.name, duckdbTypes[column.type]])
      )
      const fields = wasmTable(name).schema.fields
      assert.deepEqual(
        fields.map((field) => [field.name, String(field.type), field.nullable]),
        columns.map((column) => [column.name, arrowTypes[column.type], column.nullable])
      )
      const elements = parquetSchema(parquetMetadata(await asyncBuffer(name).slice(0))).children
      assert.deepEqual(
        elements.map(({ element }) => [element.name, element.repetition_type]),
        columns.map((column) => [column.name, column.nullable ? 'OPTIONAL' : 'REQUIRED'])
      )
    })
  }

  test('timestamps carry the logical and the converted type', async () => {
    const got = await rows(
      `select name, type, converted_type, logical_type from parquet_schema(${quoted('trades')})
       where name in ('local_timestamp', 'side')`
    )
    const [time, side] = got
    assert.equal(time.type, 'INT64')
    assert.equal(time.converted_type, 'TIMESTAMP_MICROS')
    assert.match(time.logical_type, /isAdjustedToUTC=1, unit=TimeUnit\(.*MICROS=MicroSeconds/)
    assert.equal(side.type, 'BYTE_ARRAY')
    assert.equal(side.converted_type, 'UTF8')
    assert.equal(side.logical_type, 'StringType()')
  })
})

describe('footer', () => {
  for (const name of names) {
    test(`${name}: groups, codec and statistics`, async () => {
      const { rows: count, groups, columns } = expected[name]
      const [file] = await rows(`select * from parquet_file_metadata(${quoted(name)})`)
      assert.equal(file.created_by.startsWith('market-data version '), true)
      assert.equal(file.num_rows, BigInt(count))
      assert.equal(file.num_row_groups, BigInt(groups))
      const chunks = await rows(
        `select path_in_schema as name, compression, num_values::int as values,
                stats_null_count::int as nulls, stats_min_value as min, stats_max_value as max
         from parquet_metadata(${quoted(name)})`
      )
      assert.equal(chunks.length, groups * columns.length)
      for (const column of columns) {
        const own = chunks.filter((chunk) => chunk.name === column.name)
        assert.equal(own.every((chunk) => chunk.compression === 'ZSTD'), true)
        assert.equal(own.reduce((sum, chunk) => sum + chunk.values, 0), count)
        assert.equal(own.reduce((sum, chunk) => sum + chunk.nulls, 0), column.nulls, column.name)
        for (const chunk of own) {
          assert.equal(chunk.min === null, chunk.nulls === chunk.values, `${column.name}: bounds`)
        }
      }
    })
  }

  test('the bounds in the footer are those of the rows', async () => {
    for (const name of names) {
      const meta = parquetMetadata(await asyncBuffer(name).slice(0))
      for (const [index, column] of expected[name].columns.entries()) {
        if (column.min === undefined) continue
        const stats = meta.row_groups
          .map((group) => group.columns[index].meta_data.statistics)
          .filter((s) => s.min_value !== undefined)
        const plain = (value) => (value instanceof Date ? BigInt(value.getTime()) : value)
        if (column.type === 'f64') {
          assert.equal(Math.min(...stats.map((s) => s.min_value)) + 0, column.min, `${name} ${column.name}`)
          assert.equal(Math.max(...stats.map((s) => s.max_value)) + 0, column.max, `${name} ${column.name}`)
        } else if (column.type === 'i64' || column.type === 'i32') {
          const low = stats.map((s) => BigInt(plain(s.min_value))).reduce((a, b) => (b < a ? b : a))
          const high = stats.map((s) => BigInt(plain(s.max_value))).reduce((a, b) => (b > a ? b : a))
          assert.equal(low, BigInt(column.min), `${name} ${column.name}`)
          assert.equal(high, BigInt(column.max), `${name} ${column.name}`)
        } else if (column.type === 'text') {
          const low = stats.map((s) => s.min_value).sort(byBytes)[0]
          const high = stats.map((s) => s.max_value).sort(byBytes).at(-1)
          assert.ok(byBytes(low, column.min) <= 0, `${name} ${column.name}: ${low}`)
          assert.ok(byBytes(high, column.max) >= 0, `${name} ${column.name}: ${high}`)
        }
      }
    }
  })

  test('key-values reach every reader', async () => {
    const found = await rows(
      `select decode(key) as key, decode(value) as value from parquet_kv_metadata(${quoted('trades')})`
    )
    const want = { venue: 'binance', symbol: 'BTCUSDT 币', schema: 'trades', empty: '' }
    assert.deepEqual(Object.fromEntries(found.map((row) => [row.key, row.value])), want)
    const meta = parquetMetadata(await asyncBuffer('trades').slice(0))
    assert.deepEqual(
      Object.fromEntries(meta.key_value_metadata.map(({ key, value }) => [key, value])),
      want
    )
    const arrow = wasmTable('trades').schema.metadata
    for (const [key, value] of Object.entries(want)) {
      assert.equal(arrow.get(key), value)
    }
  })

  test('rows are declared sorted by local_timestamp and local_seq, where they are', async () => {
    const meta = parquetMetadata(await asyncBuffer('trades').slice(0))
    for (const group of meta.row_groups) {
      assert.deepEqual(group.sorting_columns, [
        { column_idx: 3, descending: false, nulls_first: false },
        { column_idx: 12, descending: false, nulls_first: false },
      ])
    }
    const other = parquetMetadata(await asyncBuffer('noise').slice(0))
    assert.equal(other.row_groups[0].sorting_columns, undefined)
  })

  test('encodings are those the data calls for', async () => {
    const chunks = await rows(
      `select path_in_schema as name, encodings from parquet_metadata(${quoted('trades')})
       where row_group_id = 0`
    )
    const encodings = Object.fromEntries(chunks.map((chunk) => [chunk.name, chunk.encodings]))
    assert.match(encodings.exchange, /RLE_DICTIONARY/)
    assert.match(encodings.side, /RLE_DICTIONARY/)
    assert.match(encodings.price, /RLE_DICTIONARY/)
    assert.match(encodings.conn_id, /RLE_DICTIONARY/)
    assert.match(encodings.local_timestamp, /DELTA_BINARY_PACKED/)
    assert.match(encodings.local_seq, /DELTA_BINARY_PACKED/)
    assert.doesNotMatch(encodings.id, /DICTIONARY/) // every id is another
    assert.doesNotMatch(encodings.amount_base, /DICTIONARY/) // every value is another
  })
})

describe('queries', () => {
  test('DuckDB reads only the groups that a filter on time or price leaves', async () => {
    // what DuckDB says it read of the values; the file is new to it each time (another connection)
    const read = async (where) => {
      const other = await (await DuckDBInstance.create(':memory:')).connect()
      const sql = `select sum("required") from ${quoted('many_groups')} where ${where}`
      const plan = (await other.runAndReadAll(`explain (analyze, format json) ${sql}`)).getRowObjects()
      return JSON.parse(plan[0].explain_value).total_bytes_read
    }
    const footer = await read('"required" > 99999') // no group can hold such a row
    const all = (await read('true')) - footer
    const minute =
      (await read(
        `"time" >= make_timestamptz(1795424400001000) and "time" < make_timestamptz(1795424400001060)`
      )) - footer
    assert.ok(minute > 0 && minute * 10 < all, `${minute} bytes of values read of ${all}`)
    assert.equal(await read(`"time" > make_timestamptz(1795424400009000)`), footer)
    assert.equal(await read('"f64" > 1000'), footer)
  })

  test('Polars finds the same by the same filter', () => {
    const got = pl
      .scanParquet(path('many_groups'))
      .filter(pl.col('required').gtEq(1000).and(pl.col('required').lt(1060)))
      .collectSync()
    assert.equal(got.height, 60)
  })

  test('hyparquet finds the same through the page indexes', async () => {
    for (const [name, filter, match] of [
      ['trades', { trade_id: { $gte: 4000033000n, $lt: 4000033300n } }, (row) => row.trade_id],
      ['trades', { timestamp: { $gte: 1795424430000000n } }, (row) => row.timestamp],
      ['book_ticker', { timestamp: { $lt: 1795424400150000n } }, (row) => row.timestamp],
      ['many_groups', { f64: { $gte: 9.5 } }, (row) => row.f64],
    ]) {
      const all = await hyparquetRows(name)
      const [[, { $gte = -Infinity, $lt = Infinity }]] = Object.entries(filter)
      const want = all.filter((row) => match(row) != null && match(row) >= $gte && match(row) < $lt)
      const file = asyncBuffer(name)
      const got = await parquetReadObjects({ file, compressors, filter, parsers: rawTimes })
      assert.ok(want.length > 0, name)
      assert.deepEqual(got, want)
    }
  })

  test('the page indexes say where each page is and what it holds', async () => {
    for (const name of ['trades', 'derivative_ticker', 'noise', 'all_null', 'candles']) {
      const bytes = readFileSync(path(name))
      const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
      const meta = parquetMetadata(await asyncBuffer(name).slice(0))
      const objects = await hyparquetRows(name)
      let firstRow = 0
      for (const group of meta.row_groups) {
        for (const [index, chunk] of group.columns.entries()) {
          const column = expected[name].columns[index]
          const bounds = columnIndex(view, chunk, meta.schema[index + 1])
          // all-null pages of times have none, for hyparquet's sake (parquet_footer.c)
          assert.ok(bounds || (column.type === 'time' && column.nulls > 0), `${name} ${column.name}`)
          const offsets = readOffsetIndex({ view, offset: Number(chunk.offset_index_offset) })
          assert.equal(Number(offsets.page_locations[0].offset), Number(chunk.meta_data.data_page_offset))
          for (const [page, location] of offsets.page_locations.entries()) {
            const next = offsets.page_locations[page + 1]
            const end = next ? Number(next.first_row_index) : Number(group.num_rows)
            if (next) {
              assert.equal(Number(location.offset) + location.compressed_page_size, Number(next.offset))
            }
            const values = objects
              .slice(firstRow + Number(location.first_row_index), firstRow + end)
              .map((row) => row[column.name] ?? null)
            const set = values.filter((value) => value !== null)
            const what = `${name} ${column.name} page ${page}`
            if (!bounds) continue
            assert.equal(Number(bounds.null_counts[page]), values.length - set.length, what)
            assert.equal(bounds.null_pages[page], set.length === 0, what)
            const below = (a, b) => (column.type === 'text' ? byBytes(a, b) <= 0 : a <= b)
            for (const value of set) {
              assert.ok(below(bounds.min_values[page], value), `${what}: ${value} is below the minimum`)
              assert.ok(below(value, bounds.max_values[page]), `${what}: ${value} is above the maximum`)
            }
          }
        }
        firstRow += Number(group.num_rows)
      }
    }
  })

  test('a tree of files reads as one table', async () => {
    const [row] = await rows(
      `select count(*)::int as n, count(distinct symbol)::int as symbols
       from read_parquet([${quoted('trades')}, ${quoted('trades')}])`
    )
    assert.deepEqual(row, { n: 2 * expected.trades.rows, symbols: 1 })
  })
})
