#ifndef MD_WATCH_PAGE_FILES_H
#define MD_WATCH_PAGE_FILES_H

#include <stddef.h>

/* The page's files, put into the program by scripts/embed when it is built. */
struct page_file {
    const char *path, *type, *etag;
    const unsigned char *data;
    size_t bytes;
};
extern const struct page_file page_files[];
extern const size_t page_file_count;

#endif
