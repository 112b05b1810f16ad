#ifndef MD_STORE_ROW_READER_H
#define MD_STORE_ROW_READER_H

#include "base/mdio.h"
#include "store/columns.h"
#include "store/store.h"

/* The rows of finished files, group by group, whatever their format: a format is one reader. For
 * commands over a data folder (`verify`, `book`, `merge`). Bytes are hostile: what is not as our
 * writers make it is refused with words, in text formats with the line. */
struct row_reader;

#define ROW_READER_LINE_BYTES_MAX ((size_t)256 * 1024)

struct row_reader_ops {
    /* Opens the file at its first row, and closes the one before. `ours`: the channel's columns,
     * which must be there (but see column()). MD_ENOENT; MD_ENOTSUP: not our columns; MD_EPARSE,
     * MD_ECORRUPT, MD_ETOOBIG: not of the format, or damaged; `err` says what. */
    int (*open)(struct row_reader *reader, struct mdio *io, const char *path,
                const struct schema *ours, struct err *err);
    /* 1 = *group holds the next rows, until the next call; 0 = no more; negative: damaged here. */
    int (*next)(struct row_reader *reader, const struct row_group **group, struct err *err);
    /* The group's column that is ours[index]; -1 = the file does not have it. After open(). */
    int (*column)(const struct row_reader *reader, uint32_t index);
    /* What the file says of itself; "" when there is no such key. NULL: the format has no place for
     * it. */
    struct str (*footer)(const struct row_reader *reader, const char *key);
    void (*close)(struct row_reader *reader);
    void (*destroy)(struct row_reader *reader);
};
struct row_reader {
    const struct row_reader_ops *ops;
};

/* NULL = no memory. Memory from ALLOC_SEAL: Parquet that of parquet_table.h; text formats an
 * unpacker (9 MiB), a line, and a group of some 3 MiB. */
struct row_reader *row_reader_create(enum file_format format);
struct row_reader *text_row_reader_create(enum file_format format);

#endif
