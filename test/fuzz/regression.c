/* Runs a fuzz target as a plain test, with any compiler: each file of the corpus folder given as
 * argv[1] whole, cut at every length, and with one bit of each byte flipped. The target has failed
 * when it crashed, so a file that was run through is "ok". TAP on stdout. Files above FULL_BYTES
 * are cut and flipped at FULL_BYTES places spread over them, so that a run stays short. */
#include <dirent.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define FULL_BYTES 2048
#define FILES_MAX 1024
#define FILE_BYTES_MAX (1 << 20)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t bytes);

/* A copy of exactly its size, so that a sanitizer sees a read past the end. */
static void run(const uint8_t *data, size_t bytes)
{
    uint8_t *copy = malloc(bytes > 0 ? bytes : 1);
    if (copy == NULL) {
        abort();
    }
    memcpy(copy, data, bytes);
    (void)LLVMFuzzerTestOneInput(copy, bytes);
    free(copy);
}

static void run_variants(uint8_t *data, size_t bytes)
{
    size_t step = bytes / FULL_BYTES + 1;
    run(data, bytes);
    for (size_t cut = 0; cut < bytes; cut += step) {
        run(data, cut);
    }
    for (size_t at = 0; at < bytes; at += step) {
        uint8_t bit = (uint8_t)(1u << (at / step % 8));
        data[at] ^= bit;
        run(data, bytes);
        data[at] ^= bit;
    }
}

static int compare_names(const void *a, const void *b)
{
    return strcmp(*(char *const *)a, *(char *const *)b);
}

static size_t list(const char *folder, char *names[FILES_MAX])
{
    size_t count = 0;
    DIR *dir = opendir(folder);
    const struct dirent *entry;
    while (dir != NULL && (entry = readdir(dir)) != NULL && count < FILES_MAX) {
        if (entry->d_name[0] != '.') {
            names[count++] = strdup(entry->d_name);
        }
    }
    if (dir != NULL) {
        closedir(dir);
    }
    qsort(names, count, sizeof names[0], compare_names);
    return count;
}

int main(int argc, char **argv)
{
    static char *names[FILES_MAX];
    static uint8_t data[FILE_BYTES_MAX];
    const char *folder = argc > 1 ? argv[1] : ".";
    size_t count = list(folder, names);
    int failed = 0;
    printf("1..%zu\n", count + 1);
    run(data, 0);
    printf("ok 1 - nothing\n");
    for (size_t i = 0; i < count; i++) {
        char path[4096];
        snprintf(path, sizeof path, "%s/%s", folder, names[i]);
        FILE *file = fopen(path, "rb");
        size_t bytes = file != NULL ? fread(data, 1, sizeof data, file) : 0;
        if (file != NULL) {
            fclose(file);
            run_variants(data, bytes);
        } else {
            failed = 1;
        }
        printf("%s %zu - %s (%zu bytes)\n", file != NULL ? "ok" : "not ok", i + 2, names[i], bytes);
        fflush(stdout);
        free(names[i]);
    }
    return failed;
}
