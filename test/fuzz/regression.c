/* Runs a fuzz target without libFuzzer, as a plain test with any compiler: over each file of the
 * corpus folder (argv[1]) whole, cut at every length and with single bytes flipped; over 2,000
 * inputs of our own making when the folder is absent or empty. Speaks TAP, one line per file.
 *
 * Each input is a heap block of exactly its size, so that ASan sees a read past the end. Large
 * files are sampled: at most CASES_MAX cuts and flips each, within WORK_BYTES_MAX bytes in all. The
 * same inputs on every run; when the target dies, standard error says on which. */
#include <dirent.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define CASES_MAX 4096
#define WORK_BYTES_MAX (32u << 20)
#define FILE_BYTES_MAX (16u << 20)
#define GENERATED_COUNT 2000

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);
__attribute__((weak)) int LLVMFuzzerInitialize(int *argc, char ***argv);
__attribute__((weak)) void __sanitizer_set_death_callback(void (*callback)(void));

static char doing[512]; /* the input being tried, in words */

static void say_what_died(void)
{
    if (write(STDERR_FILENO, doing, strlen(doing)) < 0) {
        return; /* best effort, the process is dying */
    }
}

static void on_death(int signal_number)
{
    say_what_died();
    signal(signal_number, SIG_DFL);
    raise(signal_number);
}

__attribute__((format(printf, 3, 4))) static void try_input(const uint8_t *data, size_t bytes,
                                                            const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    int n = vsnprintf(doing, sizeof doing - 1, format, arguments);
    va_end(arguments);
    size_t end = n < 0 ? 0 : (size_t)n < sizeof doing - 2 ? (size_t)n : sizeof doing - 2;
    memcpy(doing + end, "\n", 2);
    uint8_t *exact = malloc(bytes); /* may be NULL for 0 bytes, which a target must stand too */
    if (exact == NULL && bytes > 0) {
        abort();
    }
    if (bytes > 0) {
        memcpy(exact, data, bytes);
    }
    LLVMFuzzerTestOneInput(exact, bytes);
    free(exact);
    doing[0] = 0;
}

static uint64_t random_next(uint64_t *state)
{
    uint64_t x = *state += 0x9e3779b97f4a7c15ULL;
    x = (x ^ (x >> 30)) * 0xbf58476d1ce4e5b9ULL;
    x = (x ^ (x >> 27)) * 0x94d049bb133111ebULL;
    return x ^ (x >> 31);
}

/* Every length and every place of a small input; the first and last of a large one, and evenly
 * spaced ones between. */
static size_t place_of(size_t index, size_t count, size_t bytes)
{
    if (count == bytes || index < count / 4) {
        return index;
    }
    if (index >= count - count / 4) {
        return bytes - (count - index);
    }
    return (size_t)((double)bytes * (double)index / (double)count);
}

static void try_file(const char *name, uint8_t *data, size_t bytes)
{
    size_t count = bytes < CASES_MAX ? bytes : CASES_MAX;
    if (bytes > 0 && count > WORK_BYTES_MAX / bytes) {
        count = WORK_BYTES_MAX / bytes + 1;
    }
    count = count < bytes ? count : bytes;
    try_input(data, bytes, "%s, whole", name);
    for (size_t i = 0; i < count; i++) {
        size_t length = place_of(i, count, bytes);
        try_input(data, length, "%s, cut at %zu", name, length);
    }
    uint64_t random = 1;
    for (size_t i = 0; i < count; i++) {
        size_t place = place_of(i, count, bytes);
        uint8_t was = data[place];
        uint64_t draw = random_next(&random);
        data[place] = (uint8_t)(was ^ (draw % 2 == 0 ? 1u << draw / 2 % 8 : 1 + draw / 2 % 255));
        try_input(data, bytes, "%s, byte %zu is 0x%02x", name, place, data[place]);
        data[place] = was;
    }
}

/* Noise, digits, JSON's punctuation, and long runs, of 0 to 511 bytes. */
static void try_generated(void)
{
    static const char likely[] = "{}[]\":,.-+eE0123456789tfnu\\%~/ \t\n";
    uint64_t random = 2;
    uint8_t data[512];
    for (unsigned number = 0; number < GENERATED_COUNT; number++) {
        size_t bytes = random_next(&random) % (number % 4 == 0 ? 16 : sizeof data);
        unsigned style = (unsigned)(random_next(&random) % 4);
        for (size_t i = 0; i < bytes; i++) {
            uint64_t draw = random_next(&random);
            data[i] = style == 0                ? (uint8_t)draw
                      : style == 1              ? (uint8_t)likely[draw % (sizeof likely - 1)]
                      : style == 2 && draw & 15 ? (uint8_t)(i > 0 ? data[i - 1] : draw >> 8)
                                                : (uint8_t)('0' + draw % 10);
        }
        try_input(data, bytes, "generated input %u", number);
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

/* The names of the regular files in `folder`, sorted; 0 when it is absent or empty. */
static size_t list_files(const char *folder, char ***names)
{
    DIR *dir = folder != NULL ? opendir(folder) : NULL;
    size_t count = 0;
    *names = NULL;
    struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL) {
        if (entry->d_name[0] != '.') {
            *names = realloc(*names, (count + 1) * sizeof **names);
            char *name = strdup(entry->d_name);
            if (*names == NULL || name == NULL) {
                abort();
            }
            (*names)[count++] = name;
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    if (count > 0) {
        qsort(*names, count, sizeof **names, compare_names);
    }
    return count;
}

/* NULL when it cannot be read whole. */
static uint8_t *read_file(const char *folder, const char *name, size_t *bytes)
{
    char path[4096];
    snprintf(path, sizeof path, "%s/%s", folder, name);
    FILE *file = fopen(path, "rb");
    uint8_t *data = file != NULL ? malloc(FILE_BYTES_MAX) : NULL;
    if (data != NULL) {
        *bytes = fread(data, 1, FILE_BYTES_MAX, file);
        if (ferror(file) || *bytes == FILE_BYTES_MAX) {
            free(data);
            data = NULL;
        }
    }
    if (file != NULL) {
        fclose(file);
    }
    return data;
}

int main(int argc, char **argv)
{
    const char *folder = argc > 1 ? argv[1] : NULL;
    if (LLVMFuzzerInitialize != NULL) {
        LLVMFuzzerInitialize(&argc, &argv);
    }
    if (__sanitizer_set_death_callback != NULL) {
        __sanitizer_set_death_callback(say_what_died);
    } else {
        signal(SIGSEGV, on_death);
        signal(SIGBUS, on_death);
        signal(SIGFPE, on_death);
    }
    signal(SIGABRT, on_death);
    char **names = NULL;
    size_t count = list_files(folder, &names);
    int failed = 0;
    setvbuf(stdout, NULL, _IOLBF, 0); /* the lines before a crash must be seen */
    printf("1..%zu\n", count > 0 ? count : 1);
    if (count == 0) {
        try_generated();
        printf("ok 1 - %d generated inputs\n", GENERATED_COUNT);
    }
    for (size_t i = 0; i < count; i++) {
        size_t bytes = 0;
        uint8_t *data = read_file(folder, names[i], &bytes);
        if (data != NULL) {
            try_file(names[i], data, bytes);
        }
        printf("%s %zu - %s%s\n", data != NULL ? "ok" : "not ok", i + 1, names[i],
               data != NULL ? "" : ": cannot be read, or 16 MiB or more");
        failed |= data == NULL;
        free(data);
        free(names[i]);
    }
    free(names);
    return failed;
}
