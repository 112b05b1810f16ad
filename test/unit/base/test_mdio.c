/* The contract of base/mdio.h, on each back end: the real disk, the disk in memory, and the faulty
 * one with no fault set. Then what the real disk alone must do: links, modes, old kernels. */
#include "base_fixture.h"

#include <errno.h>
#include <linux/filter.h>
#include <linux/seccomp.h>
#include <stddef.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#include "base/alloc.h"
#include "base/err.h"
#include "base/mdio.h"

#define ALL (MDIO_READ | MDIO_WRITE | MDIO_CREATE)

static struct mdio disk, *io;
static struct mdio inner;
static struct mdio_faults no_faults;
static char folder[64];

static int posix_setup(void **state)
{
    (void)state;
    snprintf(folder, sizeof folder, "/tmp/md-mdio-XXXXXX");
    assert_non_null(mkdtemp(folder));
    char root[80];
    snprintf(root, sizeof root, "%s/root", folder);
    struct err err = {""};
    assert_int_equal(mdio_posix_open(&disk, root, &err), 0);
    assert_string_equal(disk.root, root);
    io = &disk;
    return 0;
}

static int posix_teardown(void **state)
{
    (void)state;
    mdio_deinit(&disk);
    assert_int_equal(alloc_line_stats(ALLOC_APP).bytes, 0);
    char command[128];
    snprintf(command, sizeof command, "rm -rf -- '%s'", folder);
    return system(command);
}

static int mem_setup(void **state)
{
    (void)state;
    io = &disk;
    return mdio_mem_open(&disk);
}

static int faulty_setup(void **state)
{
    (void)state;
    io = &disk;
    memset(&no_faults, 0, sizeof no_faults);
    assert_int_equal(mdio_mem_open(&inner), 0);
    return mdio_faulty_open(&disk, &inner, &no_faults);
}

static int mem_teardown(void **state)
{
    (void)state;
    mdio_deinit(&disk);
    mdio_deinit(&inner);
    mdio_deinit(&inner); /* a zeroed instance */
    assert_int_equal(alloc_line_stats(ALLOC_APP).bytes, 0);
    return 0;
}

static int make(const char *path, const char *content)
{
    int handle = mdio_open(io, path, ALL | MDIO_EXCLUSIVE);
    assert_true(handle >= 0);
    assert_int_equal(mdio_write_all(io, handle, content, strlen(content), 0), 0);
    return handle;
}

static void make_closed(const char *path, const char *content)
{
    assert_int_equal(mdio_close(io, make(path, content)), 0);
}

static void check_content(const char *path, const char *expected)
{
    char content[256] = "";
    int handle = mdio_open(io, path, MDIO_READ);
    assert_true(handle >= 0);
    assert_true(mdio_size(io, handle) == (int64_t)strlen(expected));
    assert_true(mdio_read(io, handle, content, sizeof content, 0) == (ssize_t)strlen(expected));
    assert_string_equal(content, expected);
    assert_int_equal(mdio_close(io, handle), 0);
}

/* ---- on each back end */

static void file_holds_what_was_written_where_it_was_written(void **state)
{
    (void)state;
    char data[16] = "";
    int handle = make("a", "hello");
    assert_int_equal(mdio_write_all(io, handle, "J", 1, 0), 0);
    assert_int_equal(mdio_write_all(io, handle, "!", 1, 7), 0); /* leaves a hole of two zeroes */
    assert_true(mdio_size(io, handle) == 8);
    assert_true(mdio_read(io, handle, data, sizeof data, 0) == 8);
    assert_memory_equal(data, "Jello\0\0!", 8);
    assert_true(mdio_read(io, handle, data, 3, 1) == 3);
    assert_memory_equal(data, "ell", 3);
    assert_true(mdio_read(io, handle, data, 3, 8) == 0);
    assert_true(mdio_read(io, handle, data, 3, 8000) == 0);
    assert_int_equal(mdio_read_all(io, handle, data, 8, 0), 0);
    assert_int_equal(mdio_read_all(io, handle, data, 9, 0), MD_ECORRUPT);
    assert_int_equal(mdio_sync(io, handle), 0);
    assert_int_equal(mdio_close(io, handle), 0);
}

static void open_creates_only_when_asked_and_never_truncates(void **state)
{
    (void)state;
    assert_int_equal(mdio_open(io, "a", MDIO_READ), MD_ENOENT);
    assert_int_equal(mdio_open(io, "a", MDIO_READ | MDIO_WRITE), MD_ENOENT);
    make_closed("a", "one");
    assert_int_equal(mdio_open(io, "a", ALL | MDIO_EXCLUSIVE), MD_EEXIST);
    int handle = mdio_open(io, "a", ALL);
    assert_true(handle >= 0);
    assert_true(mdio_size(io, handle) == 3);
    assert_int_equal(mdio_close(io, handle), 0);
    assert_int_equal(mdio_open(io, "no/such", ALL), MD_ENOENT);
    assert_int_equal(mdio_open(io, "a/below", ALL), MD_ENOENT); /* a file is no folder */
}

static void handle_not_open_for_a_thing_cannot_do_it(void **state)
{
    (void)state;
    char data[4];
    make_closed("a", "one");
    int reads = mdio_open(io, "a", MDIO_READ);
    int writes = mdio_open(io, "a", MDIO_WRITE);
    assert_true(mdio_read(io, writes, data, 1, 0) < 0);
    assert_true(mdio_write_all(io, reads, "x", 1, 0) < 0);
    assert_true(mdio_truncate(io, reads, 0) < 0);
    assert_true(mdio_read(io, 9999, data, 1, 0) < 0);
    assert_true(mdio_size(io, 9999) < 0);
    assert_true(mdio_close(io, 9999) < 0);
    assert_int_equal(mdio_close(io, reads), 0);
    assert_int_equal(mdio_close(io, writes), 0);
    check_content("a", "one");
}

static void truncate_cuts_and_grows_with_zeroes(void **state)
{
    (void)state;
    char data[8];
    int handle = make("a", "abcdef");
    assert_int_equal(mdio_truncate(io, handle, 2), 0);
    assert_true(mdio_size(io, handle) == 2);
    assert_int_equal(mdio_truncate(io, handle, 4), 0);
    assert_int_equal(mdio_read_all(io, handle, data, 4, 0), 0);
    assert_memory_equal(data, "ab\0\0", 4);
    assert_int_equal(mdio_truncate(io, handle, -1), MD_EINVAL);
    assert_int_equal(mdio_close(io, handle), 0);
}

static void punch_zeroes_without_a_change_of_size(void **state)
{
    (void)state;
    char data[10];
    int handle = make("a", "abcdefgh");
    assert_int_equal(mdio_punch(io, handle, 2, 3), 0);
    assert_int_equal(mdio_punch(io, handle, 7, 1000), 0); /* beyond the end */
    assert_true(mdio_size(io, handle) == 8);
    assert_int_equal(mdio_read_all(io, handle, data, 8, 0), 0);
    assert_memory_equal(data, "ab\0\0\0fg\0", 8);
    assert_int_equal(mdio_punch(io, handle, 0, 0), MD_EINVAL);
    assert_int_equal(mdio_close(io, handle), 0);
}

static void rename_moves_and_never_replaces(void **state)
{
    (void)state;
    assert_int_equal(mdio_mkdir(io, "d"), 1);
    make_closed("a", "one");
    make_closed("b", "two");
    assert_int_equal(mdio_rename(io, "a", "b"), MD_EEXIST);
    check_content("a", "one");
    check_content("b", "two");
    assert_int_equal(mdio_rename(io, "a", "c"), 0);
    check_content("c", "one");
    assert_int_equal(mdio_open(io, "a", MDIO_READ), MD_ENOENT);
    assert_int_equal(mdio_rename(io, "c", "d/a"), 0);
    check_content("d/a", "one");
    assert_int_equal(mdio_rename(io, "a", "e"), MD_ENOENT);
    assert_int_equal(mdio_rename(io, "b", "no/b"), MD_ENOENT);
    assert_int_equal(mdio_rename(io, "b", "b"), MD_EEXIST);
    assert_int_equal(mdio_rename(io, "d", "e"), 0); /* a folder with its file */
    check_content("e/a", "one");
    assert_true(mdio_rename(io, "e", "e/f") < 0);
    check_content("e/a", "one");
}

static void rename_leaves_open_handles_usable(void **state)
{
    (void)state;
    int handle = make("a", "one");
    assert_int_equal(mdio_rename(io, "a", "b"), 0);
    assert_int_equal(mdio_write_all(io, handle, "two", 3, 0), 0);
    assert_int_equal(mdio_close(io, handle), 0);
    check_content("b", "two");
}

static void unlink_takes_the_name_and_leaves_open_handles(void **state)
{
    (void)state;
    char data[3];
    int handle = make("a", "one");
    assert_int_equal(mdio_unlink(io, "a"), 0);
    assert_int_equal(mdio_unlink(io, "a"), MD_ENOENT);
    assert_int_equal(mdio_open(io, "a", MDIO_READ), MD_ENOENT);
    assert_int_equal(mdio_read_all(io, handle, data, 3, 0), 0);
    assert_memory_equal(data, "one", 3);
    make_closed("a", "two"); /* another file of that name */
    assert_int_equal(mdio_read_all(io, handle, data, 3, 0), 0);
    assert_memory_equal(data, "one", 3);
    assert_int_equal(mdio_close(io, handle), 0);
    assert_int_equal(mdio_mkdir(io, "d"), 1);
    assert_true(mdio_unlink(io, "d") < 0);
}

static void mkdirs_makes_what_is_missing(void **state)
{
    (void)state;
    assert_int_equal(mdio_mkdirs(io, "a/b/c"), 0);
    assert_int_equal(mdio_mkdirs(io, "a/b/c"), 0);
    assert_int_equal(mdio_mkdirs(io, "a/b/d"), 0);
    assert_int_equal(mdio_mkdir(io, "a/b/d"), 0);
    assert_int_equal(mdio_mkdir(io, "x/y"), MD_ENOENT);
    make_closed("a/b/c/f", "one");
    check_content("a/b/c/f", "one");
    assert_int_equal(mdio_dirsync(io, "a/b/c"), 0);
    assert_int_equal(mdio_dirsync(io, ""), 0);
    assert_int_equal(mdio_dirsync(io, "nowhere"), MD_ENOENT);
    assert_int_equal(mdio_dirsync(io, "a/b/c/f"), MD_ENOENT);
    assert_int_equal(mdio_mkdirs(io, ""), MD_EINVAL);
    assert_int_equal(mdio_mkdirs(io, "a/../b"), MD_EINVAL);
}

struct listed {
    size_t files, folders;
    char names[16][32];
};
static void on_name(void *context, const char *name, bool is_directory)
{
    struct listed *listed = context;
    assert_true(listed->files + listed->folders < 16);
    snprintf(listed->names[listed->files + listed->folders], 32, "%s", name);
    listed->files += !is_directory;
    listed->folders += is_directory;
}
static int compare(const void *a, const void *b)
{
    return strcmp(a, b);
}

static void list_names_each_entry_once(void **state)
{
    (void)state;
    struct listed listed = {0};
    assert_int_equal(mdio_list(io, "", on_name, &listed), 0);
    assert_int_equal(listed.files + listed.folders, 0);
    assert_int_equal(mdio_mkdirs(io, "d/e"), 0);
    make_closed("d/b", "");
    make_closed("d/a", "");
    make_closed("d/.hidden", "");
    assert_int_equal(mdio_list(io, "d", on_name, &listed), 0);
    qsort(listed.names, 4, sizeof listed.names[0], compare);
    assert_int_equal(listed.files, 3);
    assert_int_equal(listed.folders, 1);
    assert_string_equal(listed.names[0], ".hidden");
    assert_string_equal(listed.names[1], "a");
    assert_string_equal(listed.names[2], "b");
    assert_string_equal(listed.names[3], "e");
    assert_int_equal(mdio_list(io, "nowhere", on_name, &listed), MD_ENOENT);
    assert_int_equal(mdio_list(io, "d/a", on_name, &listed), MD_ENOENT);
}

static void on_name_unlink(void *context, const char *name, bool is_directory)
{
    char path[64];
    (void)context;
    (void)is_directory;
    snprintf(path, sizeof path, "d/%s", name);
    assert_int_equal(mdio_unlink(io, path), 0);
}

static void list_allows_its_callback_to_use_the_disk(void **state)
{
    (void)state;
    struct listed listed = {0};
    assert_int_equal(mdio_mkdir(io, "d"), 1);
    make_closed("d/a", "");
    make_closed("d/b", "");
    assert_int_equal(mdio_list(io, "d", on_name_unlink, NULL), 0);
    assert_int_equal(mdio_list(io, "d", on_name, &listed), 0);
    assert_int_equal(listed.files, 0);
}

static void paths_out_of_the_root_are_refused(void **state)
{
    (void)state;
    static const char *const bad[] = {"",    "/a",  "..",   "../a", "a/..", "a/../b",   ".",
                                      "./a", "a/.", "a//b", "a/",   "//",   "d/../../x"};
    assert_int_equal(mdio_mkdir(io, "a"), 1);
    assert_int_equal(mdio_mkdir(io, "d"), 1);
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_int_equal(mdio_open(io, bad[i], ALL), MD_EINVAL);
        assert_int_equal(mdio_mkdir(io, bad[i]), MD_EINVAL);
        assert_int_equal(mdio_unlink(io, bad[i]), MD_EINVAL);
        assert_int_equal(mdio_rename(io, "d", bad[i]), MD_EINVAL);
        assert_int_equal(mdio_rename(io, bad[i], "e"), MD_EINVAL);
        if (bad[i][0] != 0) {
            struct listed listed = {0};
            assert_int_equal(mdio_dirsync(io, bad[i]), MD_EINVAL);
            assert_int_equal(mdio_list(io, bad[i], on_name, &listed), MD_EINVAL);
        }
    }
    char component[300], path[1200];
    memset(component, 'a', sizeof component);
    component[255] = 0;
    make_closed(component, "x"); /* the longest name a disk takes */
    memset(component, 'a', sizeof component);
    component[256] = 0;
    assert_int_equal(mdio_open(io, component, ALL), MD_EINVAL);
    memset(path, 'a', sizeof path - 1);
    for (size_t i = 100; i < sizeof path; i += 101) {
        path[i] = '/';
    }
    path[sizeof path - 1] = 0;
    assert_int_equal(mdio_open(io, path, ALL), MD_EINVAL);
    assert_int_equal(mdio_mkdirs(io, path), MD_EINVAL);
    make_closed("..a", "x"); /* a name that only looks like it */
    make_closed("...", "x");
}

static void lock_admits_one_until_it_is_closed(void **state)
{
    (void)state;
    int first = make("lock", "");
    int second = mdio_open(io, "lock", MDIO_READ | MDIO_WRITE);
    int other = make("other", "");
    assert_int_equal(mdio_lock(io, first), 0);
    assert_int_equal(mdio_lock(io, first), 0);
    assert_int_equal(mdio_lock(io, second), MD_ELOCKED);
    assert_int_equal(mdio_lock(io, other), 0);
    assert_int_equal(mdio_close(io, first), 0);
    assert_int_equal(mdio_lock(io, second), 0);
    assert_int_equal(mdio_close(io, second), 0);
    assert_int_equal(mdio_close(io, other), 0);
}

static void space_is_known(void **state)
{
    (void)state;
    struct mdio_space space = {0};
    assert_int_equal(mdio_space(io, &space), 0);
    assert_true(space.bytes_total > 0);
    assert_true(space.bytes_free <= space.bytes_total);
}

static void large_files_come_back_whole(void **state)
{
    (void)state;
    static uint8_t data[300000], back[300000];
    uint64_t random = 6;
    for (size_t i = 0; i < sizeof data; i++) {
        data[i] = (uint8_t)fixture_next(&random);
    }
    int handle = make("big", "");
    for (size_t at = 0; at < sizeof data; at += 777) {
        size_t bytes = sizeof data - at < 777 ? sizeof data - at : 777;
        assert_int_equal(mdio_write_all(io, handle, data + at, bytes, (int64_t)at), 0);
    }
    assert_int_equal(mdio_read_all(io, handle, back, sizeof back, 0), 0);
    assert_memory_equal(data, back, sizeof data);
    assert_int_equal(mdio_close(io, handle), 0);
}

/* ---- the real disk alone */

static void link_to(const char *target, const char *name)
{
    char path[256];
    snprintf(path, sizeof path, "%s/root/%s", folder, name);
    assert_int_equal(symlink(target, path), 0);
}

static bool exists(const char *name)
{
    char path[256];
    struct stat status;
    snprintf(path, sizeof path, "%s/%s", folder, name);
    return lstat(path, &status) == 0;
}

static void check_links_are_not_followed(void)
{
    char path[256];
    struct listed listed = {0};
    snprintf(path, sizeof path, "%s/outside", folder);
    assert_int_equal(mkdir(path, 0755), 0);
    snprintf(path, sizeof path, "%s/outside/f", folder);
    int fd = open(path, O_CREAT | O_WRONLY | O_CLOEXEC, 0644);
    assert_true(fd >= 0);
    close(fd);
    make_closed("real", "x");
    assert_int_equal(mdio_mkdir(io, "inside"), 1);
    link_to("../outside", "out");
    link_to("../outside/f", "file");
    link_to("../outside/new", "dangling");
    link_to("inside", "in"); /* not even to a place below the root */
    static const char *const bad[] = {"out/f", "out/new", "file", "dangling", "in/f"};
    for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
        assert_true(mdio_open(io, bad[i], MDIO_READ) < 0);
        assert_true(mdio_open(io, bad[i], ALL) < 0);
    }
    assert_true(mdio_mkdir(io, "out/d") < 0);
    assert_true(mdio_unlink(io, "out/f") < 0);
    assert_true(mdio_rename(io, "real", "out/real") < 0);
    assert_true(mdio_rename(io, "out/f", "stolen") < 0);
    assert_int_equal(mdio_rename(io, "real", "file"), MD_EEXIST);
    assert_true(mdio_list(io, "out", on_name, &listed) < 0);
    assert_true(mdio_dirsync(io, "out") < 0);
    assert_int_equal(listed.files, 0);
    assert_true(exists("outside/f"));
    assert_false(exists("outside/new"));
    assert_false(exists("outside/d"));
    assert_false(exists("outside/real"));
    assert_int_equal(mdio_unlink(io, "dangling"), 0); /* the link itself may go */
    assert_false(exists("root/dangling"));
    assert_int_equal(mdio_mkdir(io, "in"), 0); /* says "was there", but below it nothing works */
    assert_true(mdio_mkdirs(io, "in/d") < 0);
}

static void posix_never_follows_a_link_below_the_root(void **state)
{
    (void)state;
    check_links_are_not_followed();
}

/* Makes a system call fail with ENOSYS from now on in this process, as an old kernel would. */
static void forbid(long call, unsigned error)
{
    struct sock_filter filter[] = {
        BPF_STMT(BPF_LD | BPF_W | BPF_ABS, offsetof(struct seccomp_data, nr)),
        BPF_JUMP(BPF_JMP | BPF_JEQ | BPF_K, (unsigned)call, 0, 1),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ERRNO | error),
        BPF_STMT(BPF_RET | BPF_K, SECCOMP_RET_ALLOW),
    };
    struct sock_fprog program = {sizeof filter / sizeof filter[0], filter};
    assert_int_equal(prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), 0);
    assert_int_equal(prctl(PR_SET_SECCOMP, SECCOMP_MODE_FILTER, &program), 0);
    errno = 0;
    assert_int_equal(syscall(call, -1, NULL, NULL, 0, 0), -1);
    assert_int_equal(errno, error);
}

/* Runs `test` in a child for which the two calls do not exist. */
static void in_an_old_kernel(void (*test)(void **state), unsigned error)
{
    fflush(stdout);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        forbid(SYS_openat2, error);
        forbid(SYS_renameat2, ENOSYS);
        test(NULL);
        _exit(0); /* a failed assertion of cmocka ends the child otherwise */
    }
    int status = 0;
    assert_int_equal(waitpid(child, &status, 0), child);
    assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
}

static void old_kernel_all(void **state)
{
    file_holds_what_was_written_where_it_was_written(state);
    assert_int_equal(mdio_unlink(io, "a"), 0);
    mkdirs_makes_what_is_missing(state);
    make_closed("f", "one");
    make_closed("g", "two");
    assert_int_equal(mdio_rename(io, "f", "g"), MD_EEXIST);
    assert_int_equal(mdio_rename(io, "f", "h"), 0);
    check_content("h", "one");
    check_content("g", "two");
    assert_int_equal(mdio_open(io, "f", MDIO_READ), MD_ENOENT);
    assert_int_equal(mdio_open(io, "a/../g", MDIO_READ), MD_EINVAL);
    check_links_are_not_followed();
}

static void posix_keeps_its_promises_without_openat2_and_renameat2(void **state)
{
    (void)state;
    in_an_old_kernel(old_kernel_all, ENOSYS);
}

static void posix_keeps_its_promises_where_openat2_is_filtered(void **state)
{
    (void)state;
    in_an_old_kernel(old_kernel_all, EPERM);
}

static void posix_modes_are_0640_and_0750(void **state)
{
    (void)state;
    char path[256];
    struct stat status;
    mode_t mask = umask(0);
    make_closed("f", "");
    assert_int_equal(mdio_mkdir(io, "d"), 1);
    umask(mask);
    snprintf(path, sizeof path, "%s/root/f", folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0640);
    snprintf(path, sizeof path, "%s/root/d", folder);
    assert_int_equal(stat(path, &status), 0);
    assert_int_equal(status.st_mode & 07777, 0750);
}

static void posix_root_that_cannot_be_opened_says_why(void **state)
{
    (void)state;
    struct mdio other;
    struct err err = {""};
    char root[300];
    snprintf(root, sizeof root, "%s/no/such", folder);
    assert_int_equal(mdio_posix_open(&other, root, &err), MD_ENOENT);
    assert_non_null(strstr(err.text, root));
    make_closed("file", "");
    snprintf(root, sizeof root, "%s/root/file", folder);
    assert_int_equal(mdio_posix_open(&other, root, &err), MD_ENOENT); /* not a folder */
    memset(root, 'a', sizeof root - 1);
    root[sizeof root - 1] = 0;
    assert_int_equal(mdio_posix_open(&other, root, &err), MD_ETOOBIG);
    mdio_deinit(&other);
    alloc_fail_at(1);
    assert_int_equal(mdio_posix_open(&other, folder, &err), MD_ENOMEM);
    mdio_deinit(&other);
}

static void posix_notices_that_its_root_was_deleted_and_makes_it_again(void **state)
{
    (void)state;
    char command[160];
    assert_int_equal(mdio_mkdirs(io, "d"), 0);
    int handle = mdio_open(io, "d/file", ALL);
    assert_true(handle >= 0);
    assert_int_equal(mdio_write_all(io, handle, "abc", 3, 0), 0);
    assert_int_equal(mdio_sync(io, handle), 0);
    snprintf(command, sizeof command, "rm -rf -- '%s/root'", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(mdio_write_all(io, handle, "abc", 3, 0), 0); /* the disk says nothing */
    assert_int_equal(mdio_sync(io, handle), MD_ENOENT);
    assert_int_equal(mdio_close(io, handle), 0);
    assert_int_equal(mdio_open(io, "d/file", ALL), MD_ENOENT); /* opening alone makes nothing */
    handle = mdio_open_in(io, "d", "d/file", ALL);
    assert_true(handle >= 0);
    assert_int_equal(mdio_sync(io, handle), 0);
    assert_int_equal(mdio_close(io, handle), 0);
    char path[128];
    struct stat status;
    snprintf(path, sizeof path, "%s/root/d/file", folder);
    assert_int_equal(stat(path, &status), 0);
    /* where the parent is gone too there is nothing to be regained */
    snprintf(command, sizeof command, "rm -rf -- '%s'", folder);
    assert_int_equal(system(command), 0);
    assert_int_equal(mdio_open_in(io, "d", "d/file", ALL), MD_ENOENT);
    assert_int_equal(mkdir(folder, 0700), 0);
    handle = mdio_open_in(io, "d", "d/file", ALL); /* until it is there again */
    assert_true(handle >= 0);
    assert_int_equal(mdio_close(io, handle), 0);
}

static size_t descriptors(void)
{
    size_t count = 0;
    for (int fd = 0; fd < 200; fd++) {
        count += fcntl(fd, F_GETFD) >= 0;
    }
    return count;
}

static void posix_leaks_no_descriptor_when_calls_fail(void **state)
{
    (void)state;
    struct listed listed = {0};
    make_closed("a", "");
    make_closed("b", "");
    assert_int_equal(mdio_mkdir(io, "d"), 1);
    size_t before = descriptors();
    (void)mdio_open(io, "d/no", MDIO_READ);
    (void)mdio_open(io, "no/no", ALL);
    (void)mdio_rename(io, "a", "b");
    (void)mdio_rename(io, "a", "no/b");
    (void)mdio_rename(io, "no/a", "b");
    (void)mdio_unlink(io, "d/no");
    (void)mdio_unlink(io, "d");
    (void)mdio_mkdir(io, "d");
    (void)mdio_mkdir(io, "no/d");
    (void)mdio_dirsync(io, "d");
    (void)mdio_dirsync(io, "a");
    (void)mdio_list(io, "d", on_name, &listed);
    (void)mdio_list(io, "no", on_name, &listed);
    (void)mdio_mkdirs(io, "x/y/z");
    assert_int_equal(descriptors(), before);
}

/* Two processes: a lock is the program's, and goes with it. */
static void posix_lock_of_another_process_is_seen(void **state)
{
    (void)state;
    int pipe_ends[2], handle = make("lock", "");
    char byte = 0;
    assert_int_equal(pipe(pipe_ends), 0);
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        prctl(PR_SET_PDEATHSIG, SIGKILL); /* nobody is left behind when the test fails */
        int own = mdio_open(io, "lock", MDIO_READ | MDIO_WRITE);
        byte = mdio_lock(io, own) == 0 ? 'y' : 'n';
        ssize_t n = write(pipe_ends[1], &byte, 1);
        for (;;) {
            pause();
        }
        _exit((int)n);
    }
    assert_int_equal(read(pipe_ends[0], &byte, 1), 1);
    assert_int_equal(byte, 'y');
    assert_int_equal(mdio_lock(io, handle), MD_ELOCKED);
    kill(child, SIGKILL);
    waitpid(child, NULL, 0);
    assert_int_equal(mdio_lock(io, handle), 0);
    assert_int_equal(mdio_close(io, handle), 0);
    close(pipe_ends[0]);
    close(pipe_ends[1]);
}

#define ON_EACH(test)                                            \
    {"posix: " #test, test, posix_setup, posix_teardown, NULL},  \
        {"mem: " #test, test, mem_setup, mem_teardown, NULL},    \
    {                                                            \
        "faulty: " #test, test, faulty_setup, mem_teardown, NULL \
    }
#define ON_POSIX(test) cmocka_unit_test_setup_teardown(test, posix_setup, posix_teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        ON_EACH(file_holds_what_was_written_where_it_was_written),
        ON_EACH(open_creates_only_when_asked_and_never_truncates),
        ON_EACH(handle_not_open_for_a_thing_cannot_do_it),
        ON_EACH(truncate_cuts_and_grows_with_zeroes),
        ON_EACH(punch_zeroes_without_a_change_of_size),
        ON_EACH(rename_moves_and_never_replaces),
        ON_EACH(rename_leaves_open_handles_usable),
        ON_EACH(unlink_takes_the_name_and_leaves_open_handles),
        ON_EACH(mkdirs_makes_what_is_missing),
        ON_EACH(list_names_each_entry_once),
        ON_EACH(list_allows_its_callback_to_use_the_disk),
        ON_EACH(paths_out_of_the_root_are_refused),
        ON_EACH(lock_admits_one_until_it_is_closed),
        ON_EACH(space_is_known),
        ON_EACH(large_files_come_back_whole),
        ON_POSIX(posix_never_follows_a_link_below_the_root),
        ON_POSIX(posix_keeps_its_promises_without_openat2_and_renameat2),
        ON_POSIX(posix_keeps_its_promises_where_openat2_is_filtered),
        ON_POSIX(posix_modes_are_0640_and_0750),
        ON_POSIX(posix_root_that_cannot_be_opened_says_why),
        ON_POSIX(posix_notices_that_its_root_was_deleted_and_makes_it_again),
        ON_POSIX(posix_leaks_no_descriptor_when_calls_fail),
        ON_POSIX(posix_lock_of_another_process_is_seen),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
