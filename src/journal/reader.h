#ifndef MD_JOURNAL_READER_H
#define MD_JOURNAL_READER_H

#include "journal/journal.h"

/* Of the reader, for text.c alone: what it was opened with. */
uint32_t journal_reader_record_bytes_max(const struct journal_reader *reader);

#endif
