/* A stream's messages in one folder. See merge_internal.h.
 * Invariant: files that cannot be read were left out of the catalog before. */
#include "base/clock.h"
#include "proof/merge_internal.h"
#include "proof/rows.h"

int cursor_begin(struct merge *merge, struct cursor *cursor, int side, int aggregate)
{
    struct rows **rows = &merge->rows[side][aggregate == 1];
    if (*rows == NULL && rows_create(rows) != 0) {
        return err_set(merge->err, MD_ENOMEM, "no memory to read rows");
    }
    *cursor = (struct cursor){.side = &merge->sides[side],
                              .rows = *rows,
                              .next_file = merge->begin[side],
                              .end_file = merge->end[side],
                              .aggregate = aggregate};
    return cursor_next(merge, cursor);
}

static bool is_wanted(const struct cursor *cursor)
{
    return cursor->aggregate < 0 ||
           ((cursor->event.trade.flags & TRADE_AGGREGATE) != 0) == (cursor->aggregate == 1);
}

static int file_next(struct merge *merge, struct cursor *cursor)
{
    const struct catalog_file *file = &cursor->side->catalog.files[cursor->next_file++];
    int code = rows_open(cursor->rows, cursor->side->catalog.io, file, true, merge->err);
    cursor->open = code == 0;
    if (code == 0 && !rows_whole(cursor->rows)) {
        code = err_set(merge->err, MD_ENOTSUP, "no ids in it: rederive the journal");
    }
    return code;
}

int cursor_next(struct merge *merge, struct cursor *cursor)
{
    cursor->have = false;
    for (;;) {
        int code = 0;
        if (cursor->open) {
            code = rows_next(cursor->rows, &cursor->event, merge->err);
            cursor->open = code == 1;
            if (code == 1 && is_wanted(cursor)) {
                cursor->have = true;
                cursor->us = cursor->event.recv_unix_ns / NS_PER_US;
                return 0;
            }
        } else if (cursor->next_file == cursor->end_file) {
            return 0;
        } else {
            code = file_next(merge, cursor);
        }
        if (code < 0) {
            const struct catalog_file *file = &cursor->side->catalog.files[cursor->next_file - 1];
            return err_append(merge->err, code, "%s/%.*s", cursor->side->catalog.io->root,
                              (int)file->entry.path.bytes, file->entry.path.data);
        }
    }
}
