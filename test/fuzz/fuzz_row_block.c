/* Row codec: any bytes as a block of any channel. Decoding ends; a row that was read, written again
 * and read again is the same row. */
#include <stdlib.h>
#include <string.h>

#include "store/row_block.h"
#include "store/store.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

static void must(bool so)
{
    if (!so) {
        abort();
    }
}

static void same_cell(enum column_type type, const struct cell *a, const struct cell *b)
{
    must(a->null == b->null);
    if (a->null) {
        return;
    }
    if (type == COLUMN_TEXT) {
        must(str_equal(a->text, b->text));
    } else if (type == COLUMN_F64) {
        must(decimal_compare(a->dec, b->dec) == 0);
    } else {
        must(a->i64 == b->i64);
    }
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes)
{
    static uint8_t again[ROW_BYTES_MAX];
    if (bytes < 1) {
        return 0;
    }
    enum channel channel = (enum channel)(data[0] % CHANNEL_COUNT);
    const struct schema *schema = schema_of_with(channel, data[0] >= 128);
    struct row_layout layout;
    row_layout_init(&layout, schema, schema_has_symbol_path(channel) ? 2 : 1);
    struct row_state state = {.null_bits = 0};
    struct row_state writer = {.null_bits = 0};
    struct row_state reader = {.null_bits = 0};
    struct row_texts texts;
    struct row_texts more;
    struct cell cells[COLUMNS_MAX];
    struct cell back[COLUMNS_MAX];
    uint64_t cut = 0;
    const uint8_t *p = data + 1;
    const uint8_t *end = data + bytes;
    size_t row = 0;
    while (p < end && (row = row_decode(&layout, &state, &texts, p, end, cells)) > 0) {
        p += row;
        size_t size = row_encode(&layout, &writer, cells, again, &cut);
        must(row_decode(&layout, &reader, &more, again, again + size, back) == size);
        for (uint32_t c = layout.skip; c < schema->column_count; c++) {
            same_cell(schema->columns[c].type, &cells[c], &back[c]);
        }
    }
    must(cut == 0);
    return 0;
}
