/* book: an order book at a moment, rebuilt from files. */
#include <stdio.h>
#include <string.h>

#include "app/command.h"
#include "base/alloc.h"
#include "proof/book_at.h"

#define LEVELS_DEFAULT 10

struct shown {
    struct level *bids, *asks;
    uint32_t bid_count, ask_count;
};

static const char *decimal_text(struct decimal value, char out[DECIMAL_TEXT_MAX])
{
    size_t bytes = decimal_format_short(value, out);
    out[bytes < DECIMAL_TEXT_MAX ? bytes : DECIMAL_TEXT_MAX - 1] = 0;
    return out;
}

static void print_cell(const struct level *levels, uint32_t count, uint32_t index,
                       bool amount_first)
{
    char price[DECIMAL_TEXT_MAX] = "", amount[DECIMAL_TEXT_MAX] = "";
    if (index < count) {
        decimal_text(levels[index].price, price);
        decimal_text(levels[index].amount, amount);
    }
    printf("%20s %16s", amount_first ? amount : price, amount_first ? price : amount);
}

static void print_table(const struct book_at *at, const struct shown *shown, const char *symbol,
                        int64_t asked_us)
{
    char asked[PROOF_TIME_BYTES], last[PROOF_TIME_BYTES], since[PROOF_TIME_BYTES];
    printf("%s %s at %s\n", venue_name(at->venue), symbol, proof_time(asked_us, asked));
    if (at->update_id != ID_NONE) {
        printf("update %lld, ", (long long)at->update_id);
    }
    printf("received %s; on the book of %s, %llu changes since; %u bids, %u asks\n",
           proof_time(at->local_us, last), proof_time(at->since_us, since),
           (unsigned long long)at->deltas, book_level_count(at->book, BOOK_BID),
           book_level_count(at->book, BOOK_ASK));
    if (at->broken_us != TIME_NONE) {
        printf("NOT WHOLE: updates are missing before %s, and no book since\n",
               proof_time(at->broken_us, last));
    }
    printf("%20s %16s%20s %16s\n", "bid amount", "price", "ask price", "amount");
    for (uint32_t i = 0; i < shown->bid_count || i < shown->ask_count; i++) {
        print_cell(shown->bids, shown->bid_count, i, true);
        print_cell(shown->asks, shown->ask_count, i, false);
        printf("\n");
    }
}

static void print_json_levels(const char *name, const struct level *levels, uint32_t count)
{
    printf("\"%s\":[", name);
    for (uint32_t i = 0; i < count; i++) {
        char price[DECIMAL_TEXT_MAX], amount[DECIMAL_TEXT_MAX];
        printf("%s[\"%s\",\"%s\"]", i == 0 ? "" : ",", decimal_text(levels[i].price, price),
               decimal_text(levels[i].amount, amount));
    }
    printf("]");
}

static void print_json_time(const char *name, int64_t unix_us)
{
    char text[PROOF_TIME_BYTES];
    printf(unix_us == TIME_NONE ? "\"%s\":null," : "\"%s\":\"%s\",", name,
           proof_time(unix_us, text));
}

static void print_json(const struct book_at *at, const struct shown *shown, const char *symbol,
                       int64_t asked_us)
{
    printf("{\"exchange\":\"%s\",\"symbol\":", venue_name(at->venue));
    command_print_json_text(str_from(symbol));
    printf(",");
    print_json_time("at", asked_us);
    printf(at->update_id == ID_NONE ? "\"update_id\":null," : "\"update_id\":%lld,",
           (long long)at->update_id);
    print_json_time("local_timestamp", at->local_us);
    print_json_time("timestamp", at->event_us);
    print_json_time("book_since", at->since_us);
    print_json_time("missing_before", at->broken_us);
    printf("\"whole\":%s,\"bid_levels\":%u,\"ask_levels\":%u,",
           at->broken_us == TIME_NONE ? "true" : "false", book_level_count(at->book, BOOK_BID),
           book_level_count(at->book, BOOK_ASK));
    print_json_levels("bids", shown->bids, shown->bid_count);
    printf(",");
    print_json_levels("asks", shown->asks, shown->ask_count);
    printf("}\n");
}

static int show(const struct command_line *line, const struct book_at *at, int64_t asked_us,
                struct err *err)
{
    uint32_t most = line->levels == 0                     ? LEVELS_DEFAULT
                    : line->levels > BOOK_SIDE_LEVELS_MAX ? BOOK_SIDE_LEVELS_MAX
                                                          : (uint32_t)line->levels;
    struct shown shown = {.bids = alloc_take(ALLOC_APP, 2 * most * sizeof(struct level))};
    if (shown.bids == NULL) {
        return err_set(err, MD_ENOMEM, "no memory for the levels");
    }
    shown.asks = shown.bids + most;
    shown.bid_count = book_levels(at->book, BOOK_BID, shown.bids, most);
    shown.ask_count = book_levels(at->book, BOOK_ASK, shown.asks, most);
    (line->json ? print_json : print_table)(at, &shown, line->arguments[1], asked_us);
    alloc_give(shown.bids);
    return 0;
}

int command_book(struct command_line *line)
{
    struct err err = {{0}};
    struct mdio io = {0};
    struct book_at at = {0};
    int64_t at_us = 0;
    enum venue_id venue = VENUE_NONE;
    if (line->argument_count != 2 || line->at == NULL) {
        return command_fail(err_set(&err, MD_EINVAL,
                                    "usage: market-data book DIR SYMBOL --at TIME [--levels N] "
                                    "[--exchange ID] [--json]"),
                            &err);
    }
    int code = command_time("--at", line->at, &at_us, &err);
    code = code != 0 ? code : command_venue(line, &venue, &err);
    code = code != 0 ? code : command_data_folder(line->arguments[0], &io, &err);
    code = code != 0 ? code
                     : book_at_rebuild(&at, &io, venue, str_from(line->arguments[1]), at_us, &err);
    bool broken = at.broken_us != TIME_NONE;
    code = code != 0 ? code : show(line, &at, at_us, &err);
    book_at_deinit(&at);
    mdio_deinit(&io);
    if (code != 0) {
        return command_fail(code, &err);
    }
    return broken ? EXIT_FAILED : EXIT_OK;
}
