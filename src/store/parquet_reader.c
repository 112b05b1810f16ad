/* The footer of a Parquet file, read and checked.
 * Place: behind `inspect`, behind the tests that read our files back, and under parquet_rows.c.
 * Invariants: the whole footer is parsed once at open, so what is handed out later is known to be
 * well-formed; offsets and lengths lie within the file; nothing outside the footer is read here but
 * the file's head and tail.
 * Memory: one block of parquet_reader_memory_bytes(): the footer itself, a column table, one group.
 * Field numbers: parquet.thrift. */
#include "store/parquet_reader.h"

#include <sys/stat.h>
#include <unistd.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "store/thrift.h"

#define ALIGN 64
#define SCHEMA_DEPTH_MAX 16

/* ---- sources */

static int memory_read(void *context, uint64_t offset, void *data, size_t bytes)
{
    const struct str *memory = context;
    if (bytes > 0) {
        memcpy(data, memory->data + offset, bytes);
    }
    return 0;
}

struct file_source file_source_memory(struct str *memory)
{
    return (struct file_source){memory_read, memory, memory->bytes};
}

static int fd_read(void *context, uint64_t offset, void *data, size_t bytes)
{
    const int *fd = context;
    uint8_t *at = data;
    while (bytes > 0) {
        ssize_t got = pread(*fd, at, bytes, (off_t)offset);
        if (got <= 0) {
            return got == 0 ? MD_ECORRUPT : MD_EIO;
        }
        at += got;
        offset += (uint64_t)got;
        bytes -= (size_t)got;
    }
    return 0;
}

int file_source_fd(int *fd, struct file_source *source)
{
    struct stat status;
    if (fstat(*fd, &status) != 0 || !S_ISREG(status.st_mode)) {
        return MD_EIO;
    }
    *source = (struct file_source){fd_read, fd, (uint64_t)status.st_size};
    return 0;
}

/* ---- memory */

static void *carve(char *block, size_t *used, size_t bytes)
{
    void *at = block == NULL ? NULL : block + *used;
    *used += (bytes + ALIGN - 1) & ~(size_t)(ALIGN - 1);
    return at;
}

static size_t lay_out(struct parquet_reader *reader, char *block,
                      const struct parquet_limits *limits)
{
    size_t used = 0;
    (void)carve(block, &used, sizeof *reader);
    reader->footer = carve(block, &used, limits->footer_bytes_max + PARQUET_TAIL_BYTES);
    reader->group_offsets = carve(block, &used, limits->row_groups_max * sizeof(uint32_t));
    reader->columns = carve(block, &used, limits->columns_max * sizeof *reader->columns);
    reader->names = carve(block, &used, (size_t)(limits->columns_max + 1) * PARQUET_NAME_BYTES);
    if (limits->page_bytes_max > 0) {
        reader->packed = carve(block, &used, limits->page_bytes_max + PARQUET_READ_HEADER_BYTES);
        reader->body = carve(block, &used, limits->page_bytes_max);
        reader->dictionary = carve(block, &used, limits->page_bytes_max);
        reader->text_index = carve(block, &used, limits->page_bytes_max);
        size_t workspace_bytes = ZSTD_estimateDCtxSize();
        void *workspace = carve(block, &used, workspace_bytes);
        if (block != NULL) {
            reader->zstd = ZSTD_initStaticDCtx(workspace, workspace_bytes);
            ASSERT(reader->zstd != NULL);
        }
    }
    return used;
}

size_t parquet_reader_memory_bytes(const struct parquet_limits *limits)
{
    struct parquet_reader counted;
    return lay_out(&counted, NULL, limits);
}

struct parquet_reader *parquet_reader_create(const struct parquet_limits *limits)
{
    ASSERT(limits->columns_max > 0);
    ASSERT(limits->columns_max <= COLUMNS_MAX);
    char *block = alloc_take(ALLOC_SEAL, parquet_reader_memory_bytes(limits));
    if (block == NULL) {
        return NULL;
    }
    struct parquet_reader *reader = (struct parquet_reader *)(void *)block;
    lay_out(reader, block, limits);
    reader->limits = *limits;
    reader->memory = block;
    return reader;
}

void parquet_reader_destroy(struct parquet_reader *reader)
{
    if (reader != NULL) {
        alloc_give(reader->memory);
    }
}

/* ---- schema */

struct element {
    struct parquet_column column;
    struct str name;
    int32_t repetition;
    int32_t children;
};

static void read_time_type(struct thrift_reader *r, struct parquet_column *column)
{
    struct thrift_field field = {0};
    while (thrift_next_field(r, &field)) {
        if (field.id == 1) {
            column->utc = thrift_get_bool(r, field);
        } else if (field.id == 2 && field.type == THRIFT_STRUCT) {
            struct thrift_field unit = {0};
            while (thrift_next_field(r, &unit)) {
                column->time_unit = (enum parquet_time_unit)unit.id;
                thrift_skip(r, unit.type);
            }
        } else {
            thrift_skip(r, field.type);
        }
    }
}

static void read_logical_type(struct thrift_reader *r, struct parquet_column *column)
{
    struct thrift_field field = {0};
    while (thrift_next_field(r, &field)) {
        column->logical = field.id;
        if (field.id == PARQUET_LOGICAL_TIMESTAMP && field.type == THRIFT_STRUCT) {
            read_time_type(r, column);
        } else {
            thrift_skip(r, field.type);
        }
    }
}

static struct element read_element(struct thrift_reader *r)
{
    struct element element = {.column = {.converted = -1}};
    int32_t type = -1;
    struct thrift_field field = {0};
    while (thrift_next_field(r, &field)) {
        switch (field.id) {
        case 1:
            type = thrift_get_i32(r, field.type);
            break;
        case 2:
            element.column.fixed_bytes = thrift_get_i32(r, field.type);
            break;
        case 3:
            element.repetition = thrift_get_i32(r, field.type);
            break;
        case 4:
            element.name = thrift_get_binary(r, field.type);
            break;
        case 5:
            element.children = thrift_get_i32(r, field.type);
            break;
        case 6:
            element.column.converted = thrift_get_i32(r, field.type);
            break;
        case 7:
            element.column.scale = thrift_get_i32(r, field.type);
            break;
        case 8:
            element.column.precision = thrift_get_i32(r, field.type);
            break;
        case 10:
            if (field.type == THRIFT_STRUCT) {
                read_logical_type(r, &element.column);
                break;
            }
            thrift_skip(r, field.type);
            break;
        default:
            thrift_skip(r, field.type);
            break;
        }
    }
    bool leaf = element.children == 0;
    if (element.children < 0 || (leaf && (type < 0 || type > PARQUET_FIXED))) {
        r->failed = true;
    }
    element.column.type = (enum parquet_type)type;
    return element;
}

/* Where the walk stands below one group of the schema's tree. */
struct level {
    int32_t left; /* children still to come */
    size_t name_bytes;
    bool nullable, repeated;
};

struct walk {
    struct level levels[SCHEMA_DEPTH_MAX];
    uint32_t depth;
    char path[PARQUET_NAME_BYTES];
};

static size_t path_append(char *path, size_t bytes, struct str name)
{
    if (bytes > 0 && bytes + 1 < PARQUET_NAME_BYTES) {
        path[bytes++] = '.';
    }
    size_t room = PARQUET_NAME_BYTES - 1 - bytes;
    size_t n = name.bytes < room ? name.bytes : room;
    if (n > 0) {
        memcpy(path + bytes, name.data, n);
    }
    return bytes + n;
}

static int column_add(struct parquet_reader *reader, const struct element *element,
                      const struct walk *walk, size_t path_bytes, struct err *err)
{
    if (reader->info.column_count == reader->limits.columns_max) {
        return err_set(err, MD_ETOOBIG, "parquet: more than %u columns",
                       reader->limits.columns_max);
    }
    const struct level *level = &walk->levels[walk->depth - 1];
    uint32_t index = reader->info.column_count++;
    char *name = reader->names + (size_t)index * PARQUET_NAME_BYTES;
    memcpy(name, walk->path, path_bytes);
    name[path_bytes] = '\0';
    struct parquet_column *column = &reader->columns[index];
    *column = element->column;
    column->name = str_make(name, path_bytes);
    column->nullable = level->nullable || element->repetition == PARQUET_OPTIONAL;
    column->nested = walk->depth > 1 || level->repeated || element->repetition == PARQUET_REPEATED;
    return 0;
}

/* The elements are the tree in depth-first order, each with the number of its children. */
static int read_schema(struct parquet_reader *reader, struct thrift_reader *r,
                       enum thrift_type type, struct err *err)
{
    enum thrift_type element_type;
    uint32_t count = thrift_get_list(r, type, &element_type);
    if (r->failed || count == 0 || element_type != THRIFT_STRUCT) {
        return err_set(err, MD_ECORRUPT, "parquet: no schema");
    }
    struct element root = read_element(r);
    char *root_name = reader->names + (size_t)reader->limits.columns_max * PARQUET_NAME_BYTES;
    size_t root_bytes = path_append(root_name, 0, root.name);
    root_name[root_bytes] = '\0';
    reader->info.root = str_make(root_name, root_bytes);
    struct walk walk = {.depth = 1};
    walk.levels[0].left = root.children;
    for (uint32_t i = 1; i < count && !r->failed; i++) {
        while (walk.depth > 0 && walk.levels[walk.depth - 1].left == 0) {
            walk.depth--;
        }
        if (walk.depth == 0) {
            return err_set(err, MD_ECORRUPT, "parquet: schema element %u has no parent", i);
        }
        struct level *level = &walk.levels[walk.depth - 1];
        level->left--;
        struct element element = read_element(r);
        size_t path_bytes = path_append(walk.path, level->name_bytes, element.name);
        if (element.children == 0) {
            int code = column_add(reader, &element, &walk, path_bytes, err);
            if (code != 0) {
                return code;
            }
        } else if (walk.depth == SCHEMA_DEPTH_MAX) {
            return err_set(err, MD_ETOOBIG, "parquet: schema deeper than %d", SCHEMA_DEPTH_MAX);
        } else {
            walk.levels[walk.depth++] =
                (struct level){element.children, path_bytes,
                               level->nullable || element.repetition == PARQUET_OPTIONAL,
                               level->repeated || element.repetition == PARQUET_REPEATED};
        }
    }
    for (uint32_t d = 0; d < walk.depth; d++) {
        r->failed = r->failed || walk.levels[d].left != 0;
    }
    return r->failed ? err_set(err, MD_ECORRUPT, "parquet: damaged schema") : 0;
}

/* ---- row groups */

static uint32_t read_encodings(struct thrift_reader *r, enum thrift_type type)
{
    enum thrift_type element;
    uint32_t count = thrift_get_list(r, type, &element);
    uint32_t set = 0;
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        int32_t encoding = thrift_get_i32(r, element);
        set |= encoding >= 0 && encoding < 32 ? 1u << encoding : 0;
    }
    return set;
}

static void read_encoding_stats(struct thrift_reader *r, enum thrift_type type,
                                struct parquet_column_chunk *chunk)
{
    enum thrift_type element;
    uint32_t count = thrift_get_list(r, type, &element);
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        if (element != THRIFT_STRUCT) {
            thrift_skip(r, element);
            continue;
        }
        int32_t page = -1;
        int32_t encoding = -1;
        struct thrift_field field = {0};
        while (thrift_next_field(r, &field)) {
            if (field.id == 1) {
                page = thrift_get_i32(r, field.type);
            } else if (field.id == 2) {
                encoding = thrift_get_i32(r, field.type);
            } else {
                thrift_skip(r, field.type);
            }
        }
        if ((page == PARQUET_DATA_PAGE || page == PARQUET_DATA_PAGE_V2) && encoding >= 0 &&
            encoding < 32) {
            chunk->data_encodings |= 1u << encoding;
        }
    }
}

static void read_statistics(struct thrift_reader *r, struct parquet_column_chunk *chunk)
{
    struct thrift_field field = {0};
    while (thrift_next_field(r, &field)) {
        switch (field.id) {
        case 3:
            chunk->null_count = thrift_get_int(r, field.type);
            break;
        case 5:
            chunk->max = thrift_get_binary(r, field.type);
            chunk->has_max = true;
            break;
        case 6:
            chunk->min = thrift_get_binary(r, field.type);
            chunk->has_min = true;
            break;
        case 7:
            chunk->max_exact = thrift_get_bool(r, field);
            break;
        case 8:
            chunk->min_exact = thrift_get_bool(r, field);
            break;
        default:
            thrift_skip(r, field.type);
            break;
        }
    }
}

static void read_column_metadata(struct thrift_reader *r, struct parquet_column_chunk *chunk)
{
    struct thrift_field field = {0};
    while (thrift_next_field(r, &field)) {
        switch (field.id) {
        case 1:
            chunk->type = (enum parquet_type)thrift_get_i32(r, field.type);
            break;
        case 2:
            chunk->encodings = read_encodings(r, field.type);
            break;
        case 4:
            chunk->codec = thrift_get_i32(r, field.type);
            break;
        case 5:
            chunk->value_count = thrift_get_int(r, field.type);
            break;
        case 6:
            chunk->uncompressed_bytes = thrift_get_int(r, field.type);
            break;
        case 7:
            chunk->compressed_bytes = thrift_get_int(r, field.type);
            break;
        case 9:
            chunk->data_page_offset = thrift_get_int(r, field.type);
            break;
        case 11:
            chunk->dictionary_page_offset = thrift_get_int(r, field.type);
            break;
        case 12:
            if (field.type == THRIFT_STRUCT) {
                read_statistics(r, chunk);
            } else {
                thrift_skip(r, field.type);
            }
            break;
        case 13:
            read_encoding_stats(r, field.type, chunk);
            break;
        default:
            thrift_skip(r, field.type);
            break;
        }
    }
}

static void read_chunk(struct thrift_reader *r, struct parquet_column_chunk *chunk)
{
    *chunk = (struct parquet_column_chunk){.null_count = -1, .min_exact = true, .max_exact = true};
    struct thrift_field field = {0};
    while (thrift_next_field(r, &field)) {
        switch (field.id) {
        case 3:
            if (field.type == THRIFT_STRUCT) {
                read_column_metadata(r, chunk);
            } else {
                thrift_skip(r, field.type);
            }
            break;
        case 4:
            chunk->offset_index_offset = thrift_get_int(r, field.type);
            break;
        case 5:
            chunk->offset_index_bytes = thrift_get_i32(r, field.type);
            break;
        case 6:
            chunk->column_index_offset = thrift_get_int(r, field.type);
            break;
        case 7:
            chunk->column_index_bytes = thrift_get_i32(r, field.type);
            break;
        default:
            thrift_skip(r, field.type);
            break;
        }
    }
}

static void read_sorting(struct thrift_reader *r, enum thrift_type type,
                         struct parquet_group *group)
{
    enum thrift_type element;
    uint32_t count = thrift_get_list(r, type, &element);
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        int32_t column = -1;
        struct thrift_field field = {0};
        if (element != THRIFT_STRUCT) {
            thrift_skip(r, element);
            continue;
        }
        while (thrift_next_field(r, &field)) {
            if (field.id == 1) {
                column = thrift_get_i32(r, field.type);
            } else {
                thrift_skip(r, field.type);
            }
        }
        if (column >= 0 && group->sorting_count < 4) {
            group->sorting[group->sorting_count++] = column;
        }
    }
}

static bool chunk_within(const struct parquet_column_chunk *chunk, uint64_t file_bytes)
{
    int64_t begin =
        chunk->dictionary_page_offset > 0 ? chunk->dictionary_page_offset : chunk->data_page_offset;
    return begin >= PARQUET_MAGIC_BYTES && chunk->data_page_offset >= begin &&
           chunk->compressed_bytes >= 0 && chunk->uncompressed_bytes >= 0 &&
           chunk->value_count >= 0 && (uint64_t)chunk->data_page_offset < file_bytes &&
           (uint64_t)chunk->compressed_bytes <= file_bytes - (uint64_t)begin;
}

static void read_chunks(struct thrift_reader *r, enum thrift_type type, struct parquet_group *group,
                        uint32_t column_count, uint64_t file_bytes)
{
    enum thrift_type element;
    uint32_t count = thrift_get_list(r, type, &element);
    if (count != column_count || (count > 0 && element != THRIFT_STRUCT) ||
        group->column_count > 0) {
        r->failed = true;
        return;
    }
    group->column_count = count;
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        read_chunk(r, &group->columns[i]);
        if (!chunk_within(&group->columns[i], file_bytes) ||
            __builtin_add_overflow(group->uncompressed_bytes, group->columns[i].uncompressed_bytes,
                                   &group->uncompressed_bytes)) {
            r->failed = true;
            return;
        }
        group->compressed_bytes += group->columns[i].compressed_bytes;
    }
}

static void read_group(struct thrift_reader *r, struct parquet_group *group, uint32_t column_count,
                       uint64_t file_bytes)
{
    group->row_count = -1;
    group->column_count = 0;
    group->sorting_count = 0;
    group->uncompressed_bytes = 0;
    group->compressed_bytes = 0;
    struct thrift_field field = {0};
    while (thrift_next_field(r, &field)) {
        switch (field.id) {
        case 1:
            read_chunks(r, field.type, group, column_count, file_bytes);
            break;
        case 3:
            group->row_count = thrift_get_int(r, field.type);
            break;
        case 4:
            read_sorting(r, field.type, group);
            break;
        default:
            thrift_skip(r, field.type);
            break;
        }
    }
    if (group->row_count < 0 || group->column_count != column_count) {
        r->failed = true;
    }
}

static int read_groups(struct parquet_reader *reader, struct thrift_reader *r,
                       enum thrift_type type, struct err *err)
{
    enum thrift_type element;
    uint32_t count = thrift_get_list(r, type, &element);
    if (count > reader->limits.row_groups_max) {
        return err_set(err, MD_ETOOBIG, "parquet: %u row groups, at most %u", count,
                       reader->limits.row_groups_max);
    }
    if (reader->info.column_count == 0 || (count > 0 && element != THRIFT_STRUCT)) {
        return err_set(err, MD_ECORRUPT, "parquet: row groups without a schema");
    }
    for (uint32_t i = 0; i < count; i++) {
        reader->group_offsets[i] = (uint32_t)(r->at - reader->footer);
        read_group(r, &reader->group, reader->info.column_count, reader->info.file_bytes);
        if (r->failed) {
            return err_set(err, MD_ECORRUPT, "parquet: damaged row group %u", i);
        }
    }
    reader->info.group_count = count;
    return 0;
}

static void read_key_value(struct thrift_reader *r, struct str *key, struct str *value)
{
    *key = STR("");
    *value = STR("");
    struct thrift_field field = {0};
    while (thrift_next_field(r, &field)) {
        if (field.id == 1) {
            *key = thrift_get_binary(r, field.type);
        } else if (field.id == 2) {
            *value = thrift_get_binary(r, field.type);
        } else {
            thrift_skip(r, field.type);
        }
    }
}

static void read_key_values(struct parquet_reader *reader, struct thrift_reader *r,
                            enum thrift_type type)
{
    enum thrift_type element;
    uint32_t count = thrift_get_list(r, type, &element);
    reader->kv_offset = (uint32_t)(r->at - reader->footer);
    if (count > 0 && element != THRIFT_STRUCT) {
        r->failed = true;
    }
    for (uint32_t i = 0; i < count && !r->failed; i++) {
        struct str key;
        struct str value;
        read_key_value(r, &key, &value);
    }
    reader->info.kv_count = count;
}

static int read_footer(struct parquet_reader *reader, struct thrift_reader *r, struct err *err)
{
    struct parquet_info *info = &reader->info;
    int code = 0;
    bool has_groups = false;
    struct thrift_field field = {0};
    while (code == 0 && thrift_next_field(r, &field)) {
        switch (field.id) {
        case 1:
            info->version = thrift_get_i32(r, field.type);
            break;
        case 2:
            info->column_count = 0;
            code = has_groups ? err_set(err, MD_ECORRUPT, "parquet: a schema behind the groups")
                              : read_schema(reader, r, field.type, err);
            break;
        case 3:
            info->row_count = thrift_get_int(r, field.type);
            break;
        case 4:
            has_groups = true;
            code = read_groups(reader, r, field.type, err);
            break;
        case 5:
            read_key_values(reader, r, field.type);
            break;
        case 6:
            info->created_by = thrift_get_binary(r, field.type);
            break;
        default:
            thrift_skip(r, field.type);
            break;
        }
    }
    if (code != 0) {
        return code;
    }
    if (r->failed || !has_groups) {
        return err_set(err, MD_ECORRUPT, "parquet: damaged footer");
    }
    return 0;
}

/* ---- our own kind of schema */

static bool column_spec_of(const struct parquet_column *column, struct column_spec *spec)
{
    spec->name = column->name.data;
    spec->nullable = column->nullable;
    bool plain = column->converted == -1 && column->logical == 0;
    switch (column->type) {
    case PARQUET_INT64:
        spec->type = COLUMN_I64;
        if (column->logical == PARQUET_LOGICAL_TIMESTAMP && column->utc &&
            column->time_unit == PARQUET_MICROS) {
            spec->type = COLUMN_TIME;
            return true;
        }
        return plain;
    case PARQUET_INT32:
        spec->type = COLUMN_I32;
        return plain;
    case PARQUET_DOUBLE:
        spec->type = COLUMN_F64;
        return plain;
    case PARQUET_BOOLEAN:
        spec->type = COLUMN_BOOL;
        return plain;
    case PARQUET_BYTE_ARRAY:
        spec->type = COLUMN_TEXT;
        return column->converted == PARQUET_UTF8 || column->logical == PARQUET_LOGICAL_STRING;
    case PARQUET_FIXED:
        spec->type = COLUMN_DEC;
        return column->nullable && column->fixed_bytes == (int32_t)sizeof(column_dec) &&
               column->converted == PARQUET_DECIMAL && column->scale == COLUMN_DEC_SCALE &&
               column->precision == COLUMN_DEC_DIGITS;
    case PARQUET_INT96:
    case PARQUET_FLOAT:
    default:
        return false;
    }
}

static void schema_make(struct parquet_reader *reader)
{
    reader->has_schema = true;
    for (uint32_t i = 0; i < reader->info.column_count; i++) {
        const struct parquet_column *column = &reader->columns[i];
        reader->has_schema =
            reader->has_schema && !column->nested && column_spec_of(column, &reader->specs[i]);
    }
    reader->schema = (struct schema){.name = reader->info.root.data,
                                     .column_count = reader->info.column_count,
                                     .columns = reader->specs};
}

const struct schema *parquet_reader_schema(const struct parquet_reader *reader)
{
    return reader->has_schema ? &reader->schema : NULL;
}

/* ---- open */

int parquet_reader_open(struct parquet_reader *reader, struct file_source source, struct err *err)
{
    reader->source = source;
    reader->info = (struct parquet_info){.file_bytes = source.bytes_total,
                                         .columns = reader->columns,
                                         .root = STR(""),
                                         .created_by = STR("")};
    reader->has_schema = false;
    uint64_t size = source.bytes_total;
    uint8_t head[PARQUET_MAGIC_BYTES];
    uint8_t tail[PARQUET_TAIL_BYTES];
    if (size < PARQUET_MAGIC_BYTES + PARQUET_TAIL_BYTES) {
        return err_set(err, MD_EPARSE, "parquet: %llu bytes are too few for a Parquet file",
                       (unsigned long long)size);
    }
    int code = source.read(source.context, 0, head, sizeof head);
    code = code != 0 ? code : source.read(source.context, size - sizeof tail, tail, sizeof tail);
    if (code != 0) {
        return err_set(err, code, "parquet: cannot read the file");
    }
    if (memcmp(head, PARQUET_MAGIC, sizeof head) != 0 || memcmp(tail + 4, PARQUET_MAGIC, 4) != 0) {
        return err_set(err, MD_EPARSE, "parquet: no PAR1 at both ends: not a Parquet file, or cut");
    }
    uint64_t bytes = load_u32(tail);
    if (bytes > size - PARQUET_MAGIC_BYTES - PARQUET_TAIL_BYTES) {
        return err_set(err, MD_ECORRUPT, "parquet: a footer of %llu bytes in a file of %llu",
                       (unsigned long long)bytes, (unsigned long long)size);
    }
    if (bytes > reader->limits.footer_bytes_max) {
        return err_set(err, MD_ETOOBIG, "parquet: a footer of %llu bytes, at most %zu",
                       (unsigned long long)bytes, reader->limits.footer_bytes_max);
    }
    reader->info.footer_bytes = (size_t)bytes;
    code = source.read(source.context, size - PARQUET_TAIL_BYTES - bytes, reader->footer,
                       (size_t)bytes);
    if (code != 0) {
        return err_set(err, code, "parquet: cannot read the footer");
    }
    struct thrift_reader r = thrift_reader_over(reader->footer, (size_t)bytes);
    code = read_footer(reader, &r, err);
    if (code != 0) {
        reader->info.group_count = 0;
        reader->info.column_count = 0;
        reader->info.kv_count = 0;
        return code;
    }
    schema_make(reader);
    return 0;
}

const struct parquet_info *parquet_reader_info(const struct parquet_reader *reader)
{
    return &reader->info;
}

void parquet_reader_key_value(const struct parquet_reader *reader, uint32_t index, struct str *key,
                              struct str *value)
{
    ASSERT(index < reader->info.kv_count);
    struct thrift_reader r = thrift_reader_over(reader->footer, reader->info.footer_bytes);
    r.at += reader->kv_offset;
    for (uint32_t i = 0; i <= index; i++) {
        read_key_value(&r, key, value);
    }
}

void parquet_reader_group(const struct parquet_reader *reader, uint32_t index,
                          struct parquet_group *out)
{
    ASSERT(index < reader->info.group_count);
    struct thrift_reader r = thrift_reader_over(reader->footer, reader->info.footer_bytes);
    r.at += reader->group_offsets[index];
    read_group(&r, out, reader->info.column_count, reader->info.file_bytes);
    ASSERT(!r.failed);
}
