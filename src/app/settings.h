#ifndef MD_APP_SETTINGS_H
#define MD_APP_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "base/err.h"
#include "base/str.h"
#include "journal/record.h"

/* Every setting is one row: it makes the struct member, parsing, range checks, --help, the example
 * file and the environment name. After start the settings are const. */

/* type, member, name, least, most, default, unit or choices, sentence.
 * BOOL true/false; INT; BYTES with KiB, MiB, GiB; TEXT (most = bytes); LIST and WORDS (comma or
 * YAML sequence); ENUM (choices joined by |, the member holds the index). */
#define SETTINGS_LIST(X)                                                                           \
    X(TEXT, data_dir, "data_dir", 1, 200, "data", "path",                                          \
      "Folder that receives the files, the journal and the manifests.")                            \
    X(ENUM, profile, "profile", 0, 0, "none", "none|small|wide",                                   \
      "Sets advised values for what is not set otherwise: small = 2 cores, 4 GB, 200 symbols or "  \
      "more; wide = few symbols on a larger machine. check shows them.")                           \
    X(TEXT, recorder_id, "recorder.id", 1, 24, "md", "[a-z0-9-]",                                  \
      "Name of this recorder; part of every file name.")                                           \
    X(ENUM, output_format, "output.format", 0, 0, "parquet", "parquet|jsonl|csv",                  \
      "File format: .parquet, .jsonl.zst or .csv.gz.")                                             \
    X(ENUM, output_csv_schema, "output.csv_schema", 0, 0, "native", "native|tardis",               \
      "Columns of CSV files: all of ours, or the names and order of tardis.dev's files.")          \
    X(ENUM, output_layout, "output.layout", 0, 0, "hive", "hive|plain",                            \
      "Folder names with keys (exchange=binance/...) or without.")                                 \
    X(ENUM, tune, "tune", 0, 0, "auto", "auto|off",                                                \
      "Block sizes, resident blocks, idle closes, row groups and zstd level follow load and "      \
      "memory, within what is set; off: only what is set.")                                        \
    X(INT, output_record_batch_size, "output.parquet_record_batch_size", 1, 65536, "512", "rows",  \
      "Rows in a partition's memory block before it is spooled.")                                  \
    X(INT, output_batch_size, "output.parquet_batch_size", 100, 1000000, "50000", "rows",          \
      "Rows in a row group; 2000-5000 on small machines with 200 symbols or more.")                \
    X(INT, output_max_open_files, "output.parquet_max_open_files", 8, 65536, "128", "partitions",  \
      "Partitions with a block in memory (the least recently used is spooled first), and files "   \
      "written at a time at most.")                                                                \
    X(INT, output_idle_close_secs, "output.parquet_idle_close_secs", 0, 86400, "0", "s",           \
      "Seal a partition that was silent this long; 0 = off.")                                      \
    X(INT, output_zstd_level, "output.parquet_zstd_level", 1, 19, "3", "level",                    \
      "Compression level of the files.")                                                           \
    X(INT, output_queue_capacity, "output.queue_capacity", 0, 100000000, "200000", "messages",     \
      "Messages in the frame ring; 0 = bounded by memory.queue_bytes alone.")                      \
    X(ENUM, output_queue_full, "output.queue_full", 0, 0, "drop", "drop|pause",                    \
      "When the ring is full: drop the newest by channel priority, or stop reading the sockets.")  \
    X(INT, output_roll_secs, "output.roll_secs", 1, 3600, "3600", "s",                             \
      "Seal every so many seconds inside the hour too.")                                           \
    X(INT, output_close_spread_secs, "output.close_spread_secs", 0, 600, "30", "s",                \
      "Closes at the hour are spread over this time.")                                             \
    X(BOOL, output_local_ns, "output.local_ns", 0, 1, "false", "",                                 \
      "Adds the receive time in nanoseconds as a column.")                                         \
    X(BOOL, output_decimal_columns, "output.decimal_columns", 0, 1, "false", "",                   \
      "Adds prices and amounts as exact DECIMAL(38,18) columns beside the doubles.")               \
    X(BYTES, memory_budget, "memory.budget", 0, 1LL << 40, "0", "bytes",                           \
      "All memory of the recorder; 0 = a quarter of the machine's, at most 512 MiB.")              \
    X(BYTES, memory_queue_bytes, "memory.queue_bytes", 1 << 20, 1LL << 36, "16MiB", "bytes",       \
      "Bytes of the frame ring.")                                                                  \
    X(BYTES, memory_row_block_bytes, "memory.row_block_bytes", 0, 1LL << 36, "0", "bytes",         \
      "Memory for the row blocks of open partitions; 0 = from parquet_max_open_files.")            \
    X(BYTES, memory_book_bytes, "memory.book_bytes", 0, 1LL << 36, "0", "bytes",                   \
      "Memory for order books; 0 = from the number of symbols.")                                   \
    X(INT, journal_sync_ms, "journal.sync_ms", 0, 60000, "200", "ms",                              \
      "Longest time a message waits for the disk's sync; 0 = every block is synced.")              \
    X(BYTES, journal_segment_bytes, "journal.segment_bytes", 1 << 20, 1LL << 32, "64MiB", "bytes", \
      "A journal segment ends after so many bytes.")                                               \
    X(INT, journal_keep_days, "journal.keep", 0, 36500, "0", "days",                               \
      "Keep the journal as a raw archive for so many days; 0 = only until all is sealed.")         \
    X(BOOL, book_enabled, "book.enabled", 0, 1, "true", "",                                        \
      "Keep order books: snapshots open each depth file, gaps are resynchronised.")                \
    X(INT, book_shadow_check_secs, "book.shadow_check_secs", 0, 604800, "0", "s",                  \
      "Each book is held against a fresh REST snapshot once in so long, one at a time; 0 = off.")  \
    X(BOOL, backfill_enabled, "backfill.enabled", 0, 1, "true", "",                                \
      "Trades that were missed are asked for by REST, where the venue gives them.")                \
    X(INT, backfill_max_trades, "backfill.max_trades", 1, 100000000, "100000", "trades",           \
      "Of one hole the newest so many are asked for.")                                             \
    X(INT, backfill_max_age_secs, "backfill.max_age_secs", 60, 2592000, "86400", "s",              \
      "A hole that began longer ago is left as it is.")                                            \
    X(INT, backfill_percent, "backfill.weight_percent", 1, 100, "50", "%",                         \
      "Share of rest_weight_percent that missed trades may take.")                                 \
    X(TEXT, net_ca_file, "net.ca_file", 0, 200, "", "path",                                        \
      "PEM file of trusted certificates; empty = the system's.")                                   \
    X(TEXT, net_proxy, "net.proxy", 0, 200, "", "URL",                                             \
      "http://[user:pass@]host:port or socks5h://[user:pass@]host:port; empty = none.")            \
    X(BYTES, net_message_bytes_max, "net.message_bytes_max", 65536, 64 << 20, "1MiB", "bytes",     \
      "The largest message taken from a socket.")                                                  \
    X(INT, net_connect_timeout_ms, "net.connect_timeout_ms", 100, 600000, "15000", "ms",           \
      "Name, TCP, proxy, TLS and WebSocket handshake together.")                                   \
    X(INT, net_silence_secs, "net.silence_secs", 1, 86400, "60", "s",                              \
      "A connection without any byte for so long is replaced.")                                    \
    X(INT, net_stall_secs, "net.stall_secs", 0, 86400, "300", "s",                                 \
      "A connection without market data for so long is replaced; 0 = off.")                        \
    X(INT, net_backoff_min_ms, "net.backoff_min_ms", 10, 600000, "1000", "ms",                     \
      "First pause before connecting again; doubles, with jitter.")                                \
    X(INT, net_backoff_max_ms, "net.backoff_max_ms", 10, 3600000, "60000", "ms",                   \
      "Longest pause before connecting again.")                                                    \
    X(ENUM, log_level, "log.level", 0, 0, "warn", "error|warn|info|debug",                         \
      "What is logged; repeats are limited and counted.")                                          \
    X(ENUM, log_format, "log.format", 0, 0, "text", "text|json", "Log lines for people or JSON.")  \
    X(TEXT, log_file, "log.file", 0, 200, "", "path",                                              \
      "The log goes to this file; empty = to stderr, with priorities if that is journald.")        \
    X(BYTES, log_file_bytes, "log.file_bytes", 0, 1LL << 40, "16MiB", "bytes",                     \
      "A log file of this size becomes FILE.1; 0 = never.")                                        \
    X(INT, log_files, "log.files", 0, 100, "4", "files", "Old log files kept: FILE.1, FILE.2 ...") \
    X(TEXT, http_listen, "http.listen", 0, 80, "localhost:9464", "ADDRESS:PORT",                   \
      "Page, metrics and health; off = none. Another address than this machine's own needs a "     \
      "token.")                                                                                    \
    X(TEXT, http_token_file, "http.token_file", 0, 200, "", "path",                                \
      "File with the token that requests must bring, readable by its owner only; empty = the "     \
      "environment's MARKET_DATA_HTTP_TOKEN, or none.")                                            \
    X(WORDS, http_allow_hosts, "http.allow_hosts", 0, 500, "", "names",                            \
      "Further names under which the page may be asked for (the Host of a request).")              \
    X(INT, symbols_refresh_secs, "symbols.refresh_secs", 0, 604800, "86400", "s",                  \
      "The venues' symbol lists are asked again this often for patterns, all and top:N; 0 = "      \
      "never; "                                                                                    \
      "SIGHUP asks at once.")                                                                      \
    X(INT, net_life_secs, "net.connection_life_secs", 0, 604800, "0", "s",                         \
      "Connections are replaced before this age, the new one first; 0 = by the venue's own "       \
      "limit.")                                                                                    \
    X(INT, net_first_data_secs, "net.first_data_secs", 0, 86400, "0", "s",                         \
      "A stream that should speak is subscribed again after so long without its first message; "   \
      "0 = by the venue.")                                                                         \
    X(INT, net_stream_stall_secs, "net.stream_stall_secs", 0, 86400, "0", "s",                     \
      "A stream that should speak is subscribed again after so long a silence; 0 = by the venue.") \
    SETTINGS_VENUE(X, binance, "binance", "trades,book_ticker,incremental_book_L2",                \
                   "trades, agg_trades, book_ticker, incremental_book_L2, book_snapshot_5, "       \
                   "book_snapshot_20, candles, ticker.")                                           \
    X(TEXT, binance_ws_url, "binance.ws_url", 0, 200, "", "URL",                                   \
      "WebSocket base; empty = wss://data-stream.binance.vision.")                                 \
    X(TEXT, binance_history_url, "binance.history_url", 0, 200, "", "URL",                         \
      "REST base of historicalTrades; empty = https://api.binance.com, or rest_url if that is "    \
      "set.")                                                                                      \
    X(ENUM, binance_feed, "binance.feed", 0, 0, "json", "json|sbe",                                \
      "sbe: trades, book ticker, depth and book_snapshot_20 in binary form; needs an API key.")    \
    X(TEXT, binance_sbe_url, "binance.sbe_url", 0, 200, "", "URL",                                 \
      "WebSocket base of the binary form; empty = wss://stream-sbe.binance.com.")                  \
    X(TEXT, binance_api_key_file, "binance.api_key_file", 0, 200, "", "path",                      \
      "File with the Ed25519 API key, readable by its owner only; empty = the environment's "      \
      "MARKET_DATA_BINANCE_API_KEY.")                                                              \
    SETTINGS_VENUE(X, binance_futures, "binance_futures",                                          \
                   "agg_trades,book_ticker,incremental_book_L2,derivative_ticker,liquidations",    \
                   "trades, agg_trades, book_ticker, incremental_book_L2, book_snapshot_5, "       \
                   "book_snapshot_20, derivative_ticker, liquidations, candles, ticker.")          \
    X(TEXT, binance_futures_ws_url, "binance_futures.ws_url", 0, 200, "", "URL",                   \
      "WebSocket base; empty = wss://fstream.binance.com.")                                        \
    X(INT, binance_futures_open_interest_secs, "binance_futures.open_interest_secs", 0, 86400,     \
      "60", "s", "Open interest of each symbol is asked by REST this often; 0 = not.")             \
    SETTINGS_VENUE(X, kucoin, "kucoin", "trades,book_ticker,incremental_book_L2",                  \
                   "trades, book_ticker, incremental_book_L2, book_snapshot_5, book_snapshot_50, " \
                   "candles, ticker.")                                                             \
    X(TEXT, kucoin_uta_url, "kucoin.uta_url", 0, 200, "", "URL",                                   \
      "WebSocket base of the unified sockets; empty = wss://x-push-spot.kucoin.com.")              \
    X(INT, kucoin_subscribe_delay_ms, "kucoin.subscribe_delay_ms", 1, 60000, "150", "ms",          \
      "Between two requests on a connection, spot and futures; the venue allows 100 in 10 s.")     \
    X(INT, kucoin_conn_stagger_ms, "kucoin.conn_stagger_ms", 1, 600000, "2500", "ms",              \
      "Between two connects, spot and futures together; the venue allows 30 a minute.")            \
    X(INT, kucoin_global_subscribe_delay_ms, "kucoin.global_subscribe_delay_ms", 0, 60000, "150",  \
      "ms", "Between any two requests, over all connections, spot and futures; 0 = off.")          \
    SETTINGS_VENUE(X, kucoin_futures, "kucoin_futures",                                            \
                   "trades,book_ticker,incremental_book_L2,derivative_ticker",                     \
                   "trades, book_ticker, incremental_book_L2, book_snapshot_5, book_snapshot_50, " \
                   "derivative_ticker, candles, ticker.")                                          \
    X(TEXT, kucoin_futures_uta_url, "kucoin_futures.uta_url", 0, 200, "", "URL",                   \
      "WebSocket base of the unified sockets; empty = wss://x-push-futures.kucoin.com.")           \
    SETTINGS_VENUE(X, gate, "gate", "trades,book_ticker,incremental_book_L2",                      \
                   "trades, book_ticker, incremental_book_L2, book_snapshot_5, book_snapshot_20, " \
                   "book_snapshot_50, candles, ticker.")                                           \
    X(TEXT, gate_ws_url, "gate.ws_url", 0, 200, "", "URL",                                         \
      "WebSocket URL; empty = wss://api.gateio.ws/ws/v4/.")                                        \
    SETTINGS_VENUE(X, gate_futures, "gate_futures",                                                \
                   "trades,book_ticker,incremental_book_L2,derivative_ticker,liquidations",        \
                   "trades, book_ticker, incremental_book_L2, book_snapshot_5, book_snapshot_20, " \
                   "book_snapshot_50, derivative_ticker, liquidations, candles, ticker.")          \
    X(TEXT, gate_futures_ws_url, "gate_futures.ws_url", 0, 200, "", "URL",                         \
      "WebSocket URL; empty = wss://fx-ws.gateio.ws/v4/ws/usdt.")

/* What every venue has. */
#define SETTINGS_VENUE(X, member, section, channels, channel_words)                               \
    X(LIST, member##_symbols, section ".symbols", 0, 65535, "", "names, *patterns, all, top:N",   \
      "Symbols to record; * and ? match; top:N takes the N with the most turnover in 24 h; a "    \
      "leading - takes out.")                                                                     \
    X(WORDS, member##_redundant, section ".redundant_symbols", 0, 500, "", "names, *patterns",    \
      "Symbols whose trades and depth come over two connections all the time.")                   \
    X(WORDS, member##_channels, section ".channels", 0, 500, channels, "channels", channel_words) \
    X(WORDS, member##_candles, section ".candles", 0, 500, "1m", "intervals",                     \
      "Intervals of the candles channel: 1m 3m 5m 15m 30m 1h 2h 4h 6h 8h 12h 1d 1w, as far as "   \
      "the "                                                                                      \
      "venue has them.")                                                                          \
    X(TEXT, member##_rest_url, section ".rest_url", 0, 200, "", "URL",                            \
      "REST base; empty = the venue's.")                                                          \
    X(INT, member##_streams_per_conn, section ".streams_per_connection", 0, 1024, "0", "streams", \
      "Streams on one connection, at most what the venue allows; 0 = as check shows.")            \
    X(INT, member##_rest_weight_percent, section ".rest_weight_percent", 1, 100, "80", "%",       \
      "Share of the venue's REST weight that the recorder may use.")

#define SETTING_MEMBER_BOOL(member) bool member;
#define SETTING_MEMBER_INT(member) int64_t member;
#define SETTING_MEMBER_BYTES(member) int64_t member;
#define SETTING_MEMBER_TEXT(member) char member[201];
#define SETTING_MEMBER_LIST(member) char member[65536]; /* items joined by commas */
#define SETTING_MEMBER_WORDS(member) char member[501];  /* likewise, short */
#define SETTING_MEMBER_ENUM(member) int member;

struct settings {
#define X(type, member, name, least, most, preset, unit, help) SETTING_MEMBER_##type(member)
    SETTINGS_LIST(X)
#undef X
};

enum setting_type {
    SETTING_BOOL,
    SETTING_INT,
    SETTING_BYTES,
    SETTING_TEXT,
    SETTING_LIST,
    SETTING_WORDS,
    SETTING_ENUM
};

struct setting_row {
    enum setting_type type;
    const char *name;
    int64_t least, most;
    const char *preset;
    const char *unit; /* ENUM: choices joined by | */
    const char *help;
    size_t offset;
};
extern const struct setting_row setting_rows[];
extern const uint32_t setting_count;

void settings_init(struct settings *settings); /* all defaults */
/* The advised values of settings->profile, over what is there. For those who read the sources of
 * settings again behind it. */
void settings_apply_profile(struct settings *settings);
/* Calls on_value for each value that the profile sets. */
void settings_profile_each(const struct settings *settings,
                           void (*on_value)(void *context, const char *name, const char *value),
                           void *context);
/* One value by name. MD_ENOENT: no such setting (err names the nearest); MD_EINVAL, MD_ERANGE: err
 * names the setting, the value, and what is allowed. */
int settings_set(struct settings *settings, struct str name, struct str value, struct err *err);
/* "section.key=value" as on the command line. */
int settings_set_pair(struct settings *settings, const char *pair, struct err *err);
/* MARKET_DATA_OUTPUT_FORMAT and so on; MARKET_DATA_LOG is log.level. */
int settings_from_environment(struct settings *settings, const char *const *environment,
                              struct err *err);
/* The YAML file; errors say file and line. */
int settings_load(struct settings *settings, const char *path, struct err *err);
/* Rules between settings. */
int settings_check(const struct settings *settings, struct err *err);
/* The value as text that settings_set() takes. `out` may overflow softly. */
void settings_value(const struct settings *settings, const struct setting_row *row,
                    struct buf *out);
/* The settings that shape what lands, as key=value lines (RECORD_CONFIG), and back. */
void settings_landing_format(const struct settings *settings, struct buf *out);
int settings_landing_parse(struct settings *settings, struct str text, struct err *err);
/* Copies into `settings` what `given` holds that is not the default: what a person asked for. */
void settings_overlay(struct settings *settings, const struct settings *given);
/* The nearest name in the table; NULL when none is near. */
const char *settings_nearest(struct str name);
/* Prints the table for --help. */
void settings_print_help(int fd);
/* The row's bytes in `to` become those in `from`. */
void settings_copy_row(struct settings *to, const struct settings *from,
                       const struct setting_row *row);
bool settings_row_equal(const struct settings *a, const struct settings *b,
                        const struct setting_row *row);
/* True if a running recorder takes a new value up (SIGHUP); others need a restart. */
bool settings_row_live(const struct setting_row *row);
/* True if settings of the table are called name.something. */
bool settings_section(struct str name);
/* The row's range or choices, for people. */
void settings_range_text(const struct setting_row *row, char *out, size_t capacity);
/* MARKET_DATA_OUTPUT_FORMAT and the like. */
void settings_environment_name(const struct setting_row *row, char out[96]);

/* Splits a LIST in place of a copy: calls on_item for each item, blanks trimmed, empty ones
 * skipped. */
void settings_list_each(const char *list, void (*on_item)(void *context, struct str item),
                        void *context);

/* What every venue has, by venue. */
struct settings_venue {
    const char *symbols, *redundant, *channels, *candles, *rest_url;
    const char *history_url; /* "" or NULL = as without */
    const char *ws_urls[2];  /* by endpoint; "" = the venue's */
    int64_t streams_per_connection, rest_weight_percent;
};
struct settings_venue settings_of_venue(const struct settings *settings, enum venue_id venue);

#endif
