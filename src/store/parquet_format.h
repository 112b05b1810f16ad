#ifndef MD_STORE_PARQUET_FORMAT_H
#define MD_STORE_PARQUET_FORMAT_H

/* Numbers of the Parquet format that we write or name. Source: apache/parquet-format,
 * src/main/thrift/parquet.thrift and Encodings.md (2.10 and later, read 2026-11). */

enum parquet_type {
    PARQUET_BOOLEAN = 0,
    PARQUET_INT32 = 1,
    PARQUET_INT64 = 2,
    PARQUET_INT96 = 3,
    PARQUET_FLOAT = 4,
    PARQUET_DOUBLE = 5,
    PARQUET_BYTE_ARRAY = 6,
    PARQUET_FIXED = 7,
};

enum parquet_repetition { PARQUET_REQUIRED = 0, PARQUET_OPTIONAL = 1, PARQUET_REPEATED = 2 };

enum parquet_converted { PARQUET_UTF8 = 0, PARQUET_DECIMAL = 5, PARQUET_TIMESTAMP_MICROS = 10 };

/* LogicalType is a union: the id of the member set. */
enum parquet_logical {
    PARQUET_LOGICAL_STRING = 1,
    PARQUET_LOGICAL_DECIMAL = 5,
    PARQUET_LOGICAL_TIMESTAMP = 8
};
enum parquet_time_unit { PARQUET_MILLIS = 1, PARQUET_MICROS = 2, PARQUET_NANOS = 3 };

enum parquet_encoding {
    PARQUET_PLAIN = 0,
    PARQUET_PLAIN_DICTIONARY = 2,
    PARQUET_RLE = 3,
    PARQUET_BIT_PACKED = 4,
    PARQUET_DELTA_BINARY_PACKED = 5,
    PARQUET_DELTA_LENGTH_BYTE_ARRAY = 6,
    PARQUET_DELTA_BYTE_ARRAY = 7,
    PARQUET_RLE_DICTIONARY = 8,
    PARQUET_BYTE_STREAM_SPLIT = 9,
};

enum parquet_codec { PARQUET_UNCOMPRESSED = 0, PARQUET_ZSTD = 6 };

enum parquet_page { PARQUET_DATA_PAGE = 0, PARQUET_DICTIONARY_PAGE = 2, PARQUET_DATA_PAGE_V2 = 3 };

enum parquet_boundary_order {
    PARQUET_UNORDERED = 0,
    PARQUET_ASCENDING = 1,
    PARQUET_DESCENDING = 2
};

#define PARQUET_MAGIC "PAR1"
#define PARQUET_MAGIC_BYTES 4
#define PARQUET_TAIL_BYTES 8 /* footer length and magic */

#endif
