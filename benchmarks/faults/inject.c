/* Makes system calls on files below one folder fail, or ends the process at one of them.
 *
 * Loaded with LD_PRELOAD, it stands in for the functions of the C library, counts what concerns the folder,
 * and strikes at the n-th call of one kind: before the call, which is not made. It does nothing before
 * inject_watch.
 */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum kind { RENAME, FSYNC, WRITE, MKDIR, OPEN, UNLINK, KINDS };

static char folder[PATH_MAX];
static atomic_long counts[KINDS];
static enum kind struck_kind = KINDS;
static long struck_call;
static int struck_error; /* 0: SIGKILL */
static int lasts;        /* whether all later calls of the kind fail, too */

/* Count and strike in the folder of this path from now on. */
void inject_watch(const char *path) { snprintf(folder, sizeof folder, "%s", path); }

void inject_arm(int kind, long call, int error, int is_lasting) {
    struck_call = call;
    struck_error = error;
    lasts = is_lasting;
    struck_kind = kind;
}

long inject_count(int kind) { return counts[kind]; }

static int is_below(const char *path) {
    size_t length = strlen(folder);
    return length && !strncmp(path, folder, length) && (!path[length] || path[length] == '/');
}

static int is_file_below(int descriptor) {
    char link[64], path[PATH_MAX];
    if (!*folder) return 0;
    snprintf(link, sizeof link, "/proc/self/fd/%d", descriptor);
    ssize_t length = readlink(link, path, sizeof path - 1);
    if (length < 0) return 0;
    path[length] = 0;
    return is_below(path);
}

static int is_entry_below(int directory, const char *path) {
    return path[0] == '/' || directory == AT_FDCWD ? is_below(path) : is_file_below(directory);
}

/* Return whether this call is to fail, with errno set; how == 1 for the first one that does. */
static int strikes(enum kind kind, int concerned) {
    if (!concerned) return 0;
    long call = ++counts[kind];
    if (kind != struck_kind || call < struck_call || (call > struck_call && !lasts)) return 0;
    if (!struck_error) {
        kill(getpid(), SIGKILL);
        for (;;) pause();
    }
    errno = struck_error;
    return call == struck_call ? 1 : 2;
}

#define REAL(name) ((__typeof__(&name))dlsym(RTLD_NEXT, #name))

int rename(const char *from, const char *to) {
    return strikes(RENAME, is_below(from) || is_below(to)) ? -1 : REAL(rename)(from, to);
}

int fsync(int descriptor) { return strikes(FSYNC, is_file_below(descriptor)) ? -1 : REAL(fsync)(descriptor); }

/* A disk that becomes full takes a part of what is written. */
#define WRITTEN(call)                                                     \
    do {                                                                  \
        int struck = strikes(WRITE, is_file_below(descriptor));           \
        if (struck && !(struck == 1 && errno == ENOSPC && size > 1)) return -1; \
        if (struck) size /= 2;                                            \
        return call;                                                      \
    } while (0)

ssize_t write(int descriptor, const void *data, size_t size) {
    WRITTEN(REAL(write)(descriptor, data, size));
}

ssize_t pwrite64(int descriptor, const void *data, size_t size, off64_t offset) {
    WRITTEN(REAL(pwrite64)(descriptor, data, size, offset));
}

ssize_t pwrite(int descriptor, const void *data, size_t size, off_t offset) {
    WRITTEN(REAL(pwrite64)(descriptor, data, size, offset));
}

int mkdir(const char *path, mode_t mode) { return strikes(MKDIR, is_below(path)) ? -1 : REAL(mkdir)(path, mode); }

static int opened(int directory, const char *path, int flags, mode_t mode) {
    if (strikes(OPEN, is_entry_below(directory, path))) return -1;
    return ((int (*)(int, const char *, int, mode_t))dlsym(RTLD_NEXT, "openat"))(directory, path, flags, mode);
}

#define MODE(flags)                                   \
    mode_t mode = 0;                                  \
    if ((flags) & (O_CREAT | O_TMPFILE)) {            \
        va_list arguments;                            \
        va_start(arguments, flags);                   \
        mode = va_arg(arguments, mode_t);             \
        va_end(arguments);                            \
    }

int open(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int open64(const char *path, int flags, ...) { MODE(flags) return opened(AT_FDCWD, path, flags, mode); }
int openat(int directory, const char *path, int flags, ...) { MODE(flags) return opened(directory, path, flags, mode); }
int openat64(int directory, const char *path, int flags, ...) { MODE(flags) return opened(directory, path, flags, mode); }

int unlink(const char *path) { return strikes(UNLINK, is_below(path)) ? -1 : REAL(unlink)(path); }
int rmdir(const char *path) { return strikes(UNLINK, is_below(path)) ? -1 : REAL(rmdir)(path); }
int unlinkat(int directory, const char *path, int flags) {
    return strikes(UNLINK, is_entry_below(directory, path)) ? -1 : REAL(unlinkat)(directory, path, flags);
}
