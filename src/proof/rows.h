#ifndef MD_PROOF_ROWS_H
#define MD_PROOF_ROWS_H

#include "base/mdio.h"
#include "exchange/event.h"
#include "proof/catalog.h"
#include "store/row_reader.h"

/* The rows of files of ours, of any format, as the events they were made of: one event a row, but
 * depth, whose rows of one message are one event again. Rows are streamed row group by row group.
 * Bytes are hostile: what no event can be made of is refused with words, and nothing is taken for
 * granted about ids, times or order. Memory: that of a reader (store/row_reader.h) for each format
 * met, and 3 MiB for levels. */
struct rows;

#define ROWS_LEVELS_MAX 65536 /* of one side of one message */

int rows_create(struct rows **out);   /* MD_ENOMEM */
void rows_destroy(struct rows *rows); /* NULL is allowed */

/* Opens the file (of which entry.path, entry.channel and format count) at its first row. `values`:
 * prices and the like are wanted, not ids and times alone. MD_ENOENT; MD_ENOTSUP: not our columns;
 * MD_EPARSE, MD_ECORRUPT, MD_ETOOBIG: not of the format, or damaged; `err` says what. Closes the
 * one before. */
int rows_open(struct rows *rows, struct mdio *io, const struct catalog_file *file, bool values,
              struct err *err);
void rows_close(struct rows *rows);
/* 1 = `event`, whose texts and levels are valid until the next call; 0 = no more; negative: the
 * file is damaged. `event->venue` and `->symbol` are the row's own. */
int rows_next(struct rows *rows, struct event *event, struct err *err);
/* Rows of the event at hand. */
uint32_t rows_of_event(const struct rows *rows);
/* Has the open file all columns of its channel? CSV files of tardis's columns have no ids, numbers
 * and flags: those of its events are none, or 0. */
bool rows_whole(const struct rows *rows);
/* What the file says of itself; text formats say nothing. "" when there is no such key. */
bool rows_has_footer(const struct rows *rows);
struct str rows_footer(const struct rows *rows, const char *key);

#endif
