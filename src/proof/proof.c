/* What the files of this folder share: names, growing memory, times as text. */
#include "proof/proof.h"

#include <openssl/evp.h>
#include <stdio.h>

#include "base/alloc.h"
#include "base/assert.h"
#include "base/mdio.h"
#include "exchange/exchange.h"
#include "store/manifest.h"
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

bool proof_always_seeds(const struct venue *venue)
{
    for (uint32_t e = 0; e < venue->endpoint_count; e++) {
        if (!venue->endpoints[e].seeds_books) {
            return false;
        }
    }
    return true;
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

/* ---- a file against its line */

#define HASH_BYTES (16u << 10)

static int hash_of(struct mdio *io, int handle, char hex[65])
{
    uint8_t buffer[HASH_BYTES];
    EVP_MD_CTX *digest = EVP_MD_CTX_new();
    bool good = digest != NULL && EVP_DigestInit_ex(digest, EVP_sha256(), NULL) == 1;
    int64_t offset = 0;
    ssize_t got = 0;
    while (good && (got = mdio_read(io, handle, buffer, sizeof buffer, offset)) > 0) {
        good = EVP_DigestUpdate(digest, buffer, (size_t)got) == 1;
        offset += got;
    }
    unsigned char bytes[EVP_MAX_MD_SIZE];
    good = good && got == 0 && EVP_DigestFinal_ex(digest, bytes, NULL) == 1;
    EVP_MD_CTX_free(digest);
    for (int i = 0; good && i < 32; i++) {
        snprintf(hex + i * 2, 3, "%02x", bytes[i]);
    }
    return got < 0 ? (int)got : good ? 0 : MD_ENOMEM;
}

int proof_check_file(struct mdio *io, const struct manifest_entry *entry, char *words,
                     size_t words_bytes)
{
    char path[MDIO_PATH_BYTES_MAX];
    char hex[65] = "";
    ASSERT(entry->path.bytes < sizeof path);
    memcpy(path, entry->path.data, entry->path.bytes);
    path[entry->path.bytes] = 0;
    int handle = mdio_path_allowed(path) ? mdio_open(io, path, MDIO_READ) : MD_ENOENT;
    int64_t bytes = handle < 0 ? handle : mdio_size(io, handle);
    int code = bytes < 0 ? (int)bytes : hash_of(io, handle, hex);
    if (handle >= 0) {
        mdio_close(io, handle);
    }
    if (code == MD_ENOENT) {
        snprintf(words, words_bytes,
                 "no such file: %llu rows of local_seq %llu to %llu are not here",
                 (unsigned long long)entry->rows, (unsigned long long)entry->first_seq,
                 (unsigned long long)entry->last_seq);
    } else if (code < 0) {
        snprintf(words, words_bytes, "cannot be read: %s", err_text(code));
    } else if ((uint64_t)bytes != entry->bytes) {
        snprintf(words, words_bytes, "has %lld bytes, its manifest line says %llu",
                 (long long)bytes, (unsigned long long)entry->bytes);
    } else if (strcmp(hex, entry->sha256) != 0) {
        snprintf(words, words_bytes,
                 "its SHA-256 is not its manifest line's (%.12s..., the line says %.12s...)", hex,
                 entry->sha256);
    } else {
        return 1;
    }
    return code == MD_ENOMEM || code == MD_ENOENT ? code : 0;
}
