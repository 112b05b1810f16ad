#ifndef MD_WATCH_TEXT_H
#define MD_WATCH_TEXT_H

#include "base/str.h"

/* Text from outside (symbols, venues' words) inside JSON and metrics: whatever the bytes, the
 * result is valid UTF-8 and cannot end the string it stands in. */

/* With its quotes; control characters as \u00NN, what is not UTF-8 as U+FFFD. */
void text_json(struct buf *out, struct str text);
/* The value of a Prometheus label, without quotes: backslash, quote and newline escaped, other
 * control characters and what is not UTF-8 as U+FFFD. */
void text_label(struct buf *out, struct str text);

#endif
