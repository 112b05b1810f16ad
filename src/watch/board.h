#ifndef MD_WATCH_BOARD_H
#define MD_WATCH_BOARD_H

#include <stdatomic.h>
#include <stdint.h>

#include "base/alloc.h"

/* The newest state of one thread for one other to read: three slots, so that neither ever waits for
 * the other and neither sees a slot the other is at. */
struct board {
    _Atomic uint32_t ready; /* slot between the two, with BOARD_FRESH when it was not read yet */
    uint32_t writing, reading;
    size_t slot_bytes;
    char *memory;
};

size_t board_memory_bytes(size_t slot_bytes);
/* MD_ENOMEM. From ALLOC_WATCH; slots are zeroed. */
int board_init(struct board *board, size_t slot_bytes);
void board_deinit(struct board *board);

/* Writer: the slot to fill; it holds some older state. Then board_publish() hands it over. */
void *board_slot(struct board *board);
void board_publish(struct board *board);
/* Reader: the newest that was published, zeroes before the first; good until the next call. */
const void *board_newest(struct board *board);

#endif
