/* What the files of this folder share: names, growing memory, times as text. */
#include "proof/proof.h"

#include "base/alloc.h"
#include "base/assert.h"
#include "store/text_format.h"

const char *finding_name(enum finding_kind kind)
{
    static const char *const names[] = {
#define X(kind, name) [kind] = (name),
        FINDING_LIST(X)
#undef X
    };
    ASSERT(kind < FINDING_COUNT);
    return names[kind];
}

int proof_grow(void **items, size_t *capacity, size_t count, size_t item_bytes)
{
    if (count < *capacity) {
        return 0;
    }
    size_t wanted = *capacity == 0 ? 64 : *capacity * 2;
    void *bigger = alloc_take(ALLOC_APP, wanted * item_bytes);
    if (bigger == NULL) {
        return MD_ENOMEM;
    }
    if (count > 0) {
        memcpy(bigger, *items, count * item_bytes);
    }
    alloc_give(*items);
    *items = bigger;
    *capacity = wanted;
    return 0;
}

#define PIECE_BYTES (64u << 10)

struct texts_piece {
    struct texts_piece *before;
    size_t used, capacity;
    char data[];
};

int texts_keep(struct texts *texts, struct str text, struct str *kept)
{
    struct texts_piece *piece = texts->last;
    if (piece == NULL || text.bytes > piece->capacity - piece->used) {
        size_t capacity = text.bytes > PIECE_BYTES ? text.bytes : PIECE_BYTES;
        piece = alloc_take(ALLOC_APP, sizeof *piece + capacity);
        if (piece == NULL) {
            return MD_ENOMEM;
        }
        *piece = (struct texts_piece){texts->last, 0, capacity};
        texts->last = piece;
    }
    char *at = piece->data + piece->used;
    if (text.bytes > 0) {
        memcpy(at, text.data, text.bytes);
    }
    piece->used += text.bytes;
    *kept = str_make(at, text.bytes);
    return 0;
}

void texts_deinit(struct texts *texts)
{
    while (texts->last != NULL) {
        struct texts_piece *before = texts->last->before;
        alloc_give(texts->last);
        texts->last = before;
    }
}

const char *proof_time(int64_t unix_us, char out[PROOF_TIME_BYTES])
{
    size_t bytes = 1;
    if (unix_us == TIME_NONE) {
        out[0] = '-';
    } else {
        bytes = text_format_time(unix_us, out);
    }
    out[bytes] = 0;
    return out;
}
