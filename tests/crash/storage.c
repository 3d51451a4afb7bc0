/* A disk that can lose power or fail: preloaded into a process, it logs what is written below a folder, and fails calls.
 *
 * STORAGE_ROOT  the folder; everything else is left alone
 * STORAGE_LOG   where every write, sync, truncation, creation, renaming and removal is logged, in order
 * STORAGE_FAIL  KIND:FIRST:COUNT:ERRNO, for example sync:3:1:5: from the FIRST call of a kind on, COUNT of them fail;
 *               kinds are write, sync, truncate, rename; errno 0 writes only half of what was given
 *
 * A sync reaches no disk: what it would have made safe is known from the log (power.py reads it).
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { CREATED = 1, WRITTEN, SYNCED, TRUNCATED, RENAMED, REMOVED, NOT_SYNCED };
enum { WRITE, SYNC, TRUNCATE, RENAME, KINDS };

static const char *const kind_names[KINDS] = {"write", "sync", "truncate", "rename"};
static char root[PATH_MAX];
static size_t root_length;
static int log_fd = -1;
static int fail_kind = -1, fail_errno;
static long fail_first, fail_count, calls[KINDS];
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;


__attribute__((constructor)) static void begin(void) {
    const char *folder = getenv("STORAGE_ROOT"), *log = getenv("STORAGE_LOG"), *fail = getenv("STORAGE_FAIL");
    char kind[16];
    if (!folder || !realpath(folder, root)) return;
    root_length = strlen(root);
    if (log) log_fd = (int)syscall(SYS_openat, AT_FDCWD, log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
    if (fail && sscanf(fail, "%15[a-z]:%ld:%ld:%d", kind, &fail_first, &fail_count, &fail_errno) == 4)
        for (int each = 0; each < KINDS; each++)
            if (!strcmp(kind, kind_names[each])) fail_kind = each;
}

static int inside(const char *path) {
    return root_length && !strncmp(path, root, root_length) && (path[root_length] == '/' || !path[root_length]);
}

/* The path of an open file below the folder; 0 if it is elsewhere or no file. */
static int path_of(int fd, char *path) {
    char link[64];
    snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
    ssize_t length = root_length ? readlink(link, path, PATH_MAX - 1) : -1;
    if (length < 0) return 0;
    path[length] = 0;
    return inside(path);
}

/* The path that a name at a folder stands for; 0 if it is elsewhere. */
static int path_at(int folder, const char *name, char *path) {
    char parent[PATH_MAX], link[64];
    if (!root_length) return 0;
    if (name[0] == '/') {
        snprintf(path, PATH_MAX, "%s", name);
    } else {
        if (folder == AT_FDCWD) {
            if (!getcwd(parent, sizeof parent)) return 0;
        } else {
            snprintf(link, sizeof link, "/proc/self/fd/%d", folder);
            ssize_t length = readlink(link, parent, sizeof parent - 1);
            if (length < 0) return 0;
            parent[length] = 0;
        }
        if ((size_t)snprintf(path, PATH_MAX, "%s/%s", parent, name) >= PATH_MAX) return 0;
    }
    char *to = path;
    for (const char *from = path; *from; from++)
        if (*from != '/' || to == path || to[-1] != '/') *to++ = *from;
    *to = 0;
    return inside(path);
}

static void note(uint8_t what, const char *path, const char *other, uint64_t offset, const void *data, uint64_t size) {
    if (log_fd < 0) return;
    struct __attribute__((packed)) { uint8_t what; uint16_t path, other; uint64_t offset, size; } head = {
        what, (uint16_t)strlen(path), (uint16_t)(other ? strlen(other) : 0), offset, size};
    struct iovec parts[] = {{&head, sizeof head}, {(void *)path, head.path}, {(void *)other, head.other},
                            {(void *)data, data ? size : 0}};
    if (!data) head.size = size;
    syscall(SYS_writev, log_fd, parts, 4);
}

/* Whether this call is one that fails. */
static int fails(int kind) {
    pthread_mutex_lock(&lock);
    long call = ++calls[kind];
    pthread_mutex_unlock(&lock);
    return kind == fail_kind && call >= fail_first && call < fail_first + fail_count;
}

static ssize_t write_at(int fd, const void *data, size_t size, off_t offset) {
    char path[PATH_MAX];
    int ours = path_of(fd, path);
    if (ours && fails(WRITE)) {
        if (fail_errno) { errno = fail_errno; return -1; }
        size = size / 2 ? size / 2 : 1;
    }
    if (ours) {
        pthread_mutex_lock(&lock);
        off_t at = offset;
        if (at < 0) at = fcntl(fd, F_GETFL) & O_APPEND ? lseek(fd, 0, SEEK_END) : lseek(fd, 0, SEEK_CUR);
        note(WRITTEN, path, NULL, (uint64_t)at, data, size);
    }
    ssize_t done = offset < 0 ? syscall(SYS_write, fd, data, size) : syscall(SYS_pwrite64, fd, data, size, offset);
    if (ours) pthread_mutex_unlock(&lock);
    return done;
}

ssize_t write(int fd, const void *data, size_t size) { return write_at(fd, data, size, -1); }
ssize_t pwrite(int fd, const void *data, size_t size, off_t offset) { return write_at(fd, data, size, offset); }
ssize_t pwrite64(int fd, const void *data, size_t size, off64_t offset) { return write_at(fd, data, size, offset); }

static int sync_file(int fd, long number) {
    char path[PATH_MAX];
    if (!path_of(fd, path)) return (int)syscall(number, fd);
    int failed = fails(SYNC);
    pthread_mutex_lock(&lock);
    note(failed ? NOT_SYNCED : SYNCED, path, NULL, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
    if (failed) errno = fail_errno ? fail_errno : EIO;
    return failed ? -1 : 0;
}

int fsync(int fd) { return sync_file(fd, SYS_fsync); }
int fdatasync(int fd) { return sync_file(fd, SYS_fdatasync); }

static int truncate_file(int fd, off_t size) {
    char path[PATH_MAX];
    int ours = path_of(fd, path);
    if (ours && fails(TRUNCATE)) { errno = fail_errno ? fail_errno : EIO; return -1; }
    if (ours) { pthread_mutex_lock(&lock); note(TRUNCATED, path, NULL, (uint64_t)size, NULL, 0); }
    int done = (int)syscall(SYS_ftruncate, fd, size);
    if (ours) pthread_mutex_unlock(&lock);
    return done;
}

int ftruncate(int fd, off_t size) { return truncate_file(fd, size); }
int ftruncate64(int fd, off64_t size) { return truncate_file(fd, size); }

static int open_at(int folder, const char *name, int flags, mode_t mode) {
    char path[PATH_MAX];
    struct stat known;
    int ours = path_at(folder, name, path);
    int is_new = ours && (flags & O_CREAT) && lstat(path, &known);
    int empties = ours && !is_new && (flags & O_TRUNC);
    if (ours) pthread_mutex_lock(&lock);
    int fd = (int)syscall(SYS_openat, folder, name, flags, mode);
    if (fd >= 0 && is_new) note(CREATED, path, NULL, 0, NULL, 0);
    if (fd >= 0 && empties) note(TRUNCATED, path, NULL, 0, NULL, 0);
    if (ours) pthread_mutex_unlock(&lock);
    return fd;
}

#define OPENED(folder, name, flags) \
    mode_t mode = 0; \
    if ((flags) & (O_CREAT | O_TMPFILE)) { va_list rest; va_start(rest, flags); mode = va_arg(rest, mode_t); va_end(rest); } \
    return open_at(folder, name, flags, mode)

int open(const char *name, int flags, ...) { OPENED(AT_FDCWD, name, flags); }
int open64(const char *name, int flags, ...) { OPENED(AT_FDCWD, name, flags | O_LARGEFILE); }
int openat(int folder, const char *name, int flags, ...) { OPENED(folder, name, flags); }
int openat64(int folder, const char *name, int flags, ...) { OPENED(folder, name, flags | O_LARGEFILE); }

static int rename_at(int from_folder, const char *from, int to_folder, const char *to) {
    char source[PATH_MAX], target[PATH_MAX];
    int ours = path_at(from_folder, from, source) && path_at(to_folder, to, target);
    if (ours && fails(RENAME)) { errno = fail_errno ? fail_errno : EIO; return -1; }
    if (ours) pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_renameat2, from_folder, from, to_folder, to, 0);
    if (!done && ours) note(RENAMED, source, target, 0, NULL, 0);
    if (ours) pthread_mutex_unlock(&lock);
    return done;
}

int rename(const char *from, const char *to) { return rename_at(AT_FDCWD, from, AT_FDCWD, to); }
int renameat(int from_folder, const char *from, int to_folder, const char *to) {
    return rename_at(from_folder, from, to_folder, to);
}

static int remove_at(int folder, const char *name, int flags) {
    char path[PATH_MAX];
    int ours = path_at(folder, name, path);
    if (ours) pthread_mutex_lock(&lock);
    int done = (int)syscall(SYS_unlinkat, folder, name, flags);
    if (!done && ours && !(flags & AT_REMOVEDIR)) note(REMOVED, path, NULL, 0, NULL, 0);
    if (ours) pthread_mutex_unlock(&lock);
    return done;
}

int unlink(const char *name) { return remove_at(AT_FDCWD, name, 0); }
int unlinkat(int folder, const char *name, int flags) { return remove_at(folder, name, flags); }
