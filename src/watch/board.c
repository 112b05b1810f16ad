/* Three slots: one with the writer, one with the reader, one between them that each exchanges for
 * its own. */
#include "watch/board.h"

#include "base/err.h"

#define FRESH 4u
#define SLOT 3u

static size_t padded(size_t bytes)
{
    return (bytes + 63) & ~(size_t)63; /* no line of the cache is shared */
}

size_t board_memory_bytes(size_t slot_bytes)
{
    return 3 * padded(slot_bytes);
}

int board_init(struct board *board, size_t slot_bytes)
{
    board->slot_bytes = padded(slot_bytes);
    board->memory = alloc_take(ALLOC_WATCH, 3 * board->slot_bytes);
    atomic_store(&board->ready, 0);
    board->writing = 1;
    board->reading = 2;
    return board->memory != NULL ? 0 : MD_ENOMEM;
}

void board_deinit(struct board *board)
{
    alloc_give(board->memory);
    board->memory = NULL;
}

void *board_slot(struct board *board)
{
    return board->memory + board->writing * board->slot_bytes;
}

void board_publish(struct board *board)
{
    uint32_t before =
        atomic_exchange_explicit(&board->ready, board->writing | FRESH, memory_order_acq_rel);
    board->writing = before & SLOT;
}

const void *board_newest(struct board *board)
{
    if ((atomic_load_explicit(&board->ready, memory_order_relaxed) & FRESH) != 0) {
        uint32_t before =
            atomic_exchange_explicit(&board->ready, board->reading, memory_order_acq_rel);
        board->reading = before & SLOT;
    }
    return board->memory + board->reading * board->slot_bytes;
}
