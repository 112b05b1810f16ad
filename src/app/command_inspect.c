/* inspect: what a Parquet file's footer says. */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "app/command.h"
#include "base/alloc.h"
#include "store/parquet.h"

static int write_out(void *context, const void *data, size_t bytes)
{
    const char *at = data;
    (void)context;
    while (bytes > 0) {
        ssize_t n = write(STDOUT_FILENO, at, bytes);
        if (n < 0) {
            return err_from_errno(errno);
        }
        at += n;
        bytes -= (size_t)n;
    }
    return 0;
}

static int inspect_one(struct parquet_reader *reader, const char *path, struct err *err)
{
    int fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0) {
        return err_set(err, err_from_errno(errno), "%s: %s", path, strerror(errno));
    }
    struct file_source source;
    struct file_sink out = {write_out, NULL};
    dprintf(STDOUT_FILENO, "%s\n", path);
    int code = file_source_fd(&fd, &source);
    code = code != 0 ? err_set(err, code, "%s: %s", path, err_text(code))
                     : parquet_reader_open(reader, source, err);
    if (code != 0) {
        err_append(err, code, "%s", path);
    } else {
        code = parquet_inspect_print(reader, out);
    }
    close(fd);
    return code;
}

int command_inspect(struct command_line *line)
{
    struct err err = {{0}};
    if (line->argument_count < 1) {
        return command_fail(err_set(&err, MD_EINVAL, "usage: market-data inspect FILE..."), &err);
    }
    struct parquet_limits limits = {
        .footer_bytes_max = 16 << 20, .columns_max = COLUMNS_MAX, .row_groups_max = 65536};
    struct parquet_reader *reader = parquet_reader_create(&limits);
    if (reader == NULL) {
        return command_fail(err_set(&err, MD_ENOMEM, "no memory for the reader"), &err);
    }
    int code = 0;
    for (int i = 0; i < line->argument_count && code == 0; i++) {
        code = inspect_one(reader, line->arguments[i], &err);
    }
    parquet_reader_destroy(reader);
    return code == 0 ? EXIT_OK : command_fail(code, &err);
}
