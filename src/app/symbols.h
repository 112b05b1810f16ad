#ifndef MD_APP_SYMBOLS_H
#define MD_APP_SYMBOLS_H

#include "app/settings.h"
#include "exchange/exchange.h"

/* A venue's symbols as its own list has them, and what `symbols:` chooses of them: names, patterns
 * (* and ?), all, top:N, and exclusions with a leading -. */

#define SYMBOLS_LISTED_MAX 16384

struct listed {
    struct str name; /* in the list's names */
    double turnover; /* 24 h, in quote units; 0 = not known */
    bool trading;
};

struct symbol_list {
    struct listed *symbols;
    uint32_t count, capacity;
    char *names;
    size_t names_used, names_capacity;
    uint64_t refused; /* did not fit */
    bool has_turnover;
};
size_t symbol_list_bytes(uint32_t symbols_max);
int symbol_list_init(struct symbol_list *list, uint32_t symbols_max);
void symbol_list_deinit(struct symbol_list *list);
/* The name nearest to `name`; bytes = 0 if none is near. */
struct str symbol_list_nearest(const struct symbol_list *list, struct str name);
/* * and ? match; ASCII case is ignored. */
bool symbol_matches(struct str pattern, struct str symbol);

/* The words of `symbols:`. */
bool symbols_need_list(const char *words);     /* a pattern, all or top:N is among them */
bool symbols_need_turnover(const char *words); /* top:N is */
/* Chooses, in the order of the words, each symbol once. `list` NULL: plain names as they stand.
 * `chosen` gets views into the list (or the words); at most `capacity`. Returns how many, or a
 * negative code: MD_ENOENT with the nearest name when a plain name or pattern finds nothing (not
 * `lenient`: then it is skipped), MD_ETOOBIG, MD_EINVAL. */
int symbols_choose(const struct symbol_list *list, const char *words, const char *section,
                   struct listed *chosen, uint32_t capacity, bool lenient, struct err *err);

/* What asks the venues: a loop, a REST client and a decoder of its own, blocking. */
struct symbol_source;
size_t symbol_source_bytes(void);
/* Of these, what is on ALLOC_DECODE and on ALLOC_CONNECTIONS; the rest is on ALLOC_APP. */
size_t symbol_source_decode_bytes(void);
size_t symbol_source_net_bytes(void);
struct symbol_source *symbol_source_create(const struct settings *settings, struct err *err);
void symbol_source_destroy(struct symbol_source *source);
/* Fetches the venue's list, with turnover if asked for and the venue tells it (its failure is a
 * failure only when `turnover` is set). At most net.connect_timeout_ms a request. MD_ECERT,
 * MD_EPROXY, MD_EDNS, MD_ECONNECT ... with the remedy in err. */
int symbol_source_fetch(struct symbol_source *source, struct symbol_list *list,
                        const struct venue *venue, const char *rest_url, bool turnover,
                        int64_t *retry_after_s, struct err *err);

#endif
