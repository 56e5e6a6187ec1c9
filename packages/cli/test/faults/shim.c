/*
 * Preloaded into the command (LD_PRELOAD): counts its calls on files in one directory, writes each to a log, and does one
 * fault. Programs that it starts get the same; calls are counted over all of them.
 *
 * QDB_FAULTS_DIR  the directory; calls with a path in it, or with an open file in it, are counted from 1
 * QDB_FAULTS_LOG  the log, a file outside of it: a record of RECORD bytes for each call, fields separated by tabs
 * QDB_FAULTS      AT KIND ERRNO CLASSES: what happens at call AT, and at those behind it whose class is in CLASSES ("-": at none)
 *
 *   error  the call is not made and fails with ERRNO        short   it takes half of its bytes
 *   late   it is made, and fails with ERRNO all the same    torn    it takes half of its bytes, and the process is killed
 *   kill   the process is killed before it                  killed  the process is killed behind it
 *
 * Classes: r read, w write and all that changes a file or a name, f flush, o open, s look at (stat), c close, l lock.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <unistd.h>

enum { RECORD = 512, PATHS = 400 };
enum kind { NONE, ERROR, LATE, SHORT, TORN, KILL, KILLED };

static const char *directory;
static size_t directory_length;
static int log_fd = -1;
static pid_t owner;
static bool is_command;
static long fault_at;
static enum kind fault_kind;
static int fault_errno;
static char fault_classes[16];

/* Declares `real`, the library's own function. */
#define REAL(symbol) \
  static __typeof__(symbol) *real; \
  if (!real) real = (__typeof__(symbol) *)dlsym(RTLD_NEXT, #symbol)

static enum kind kind_of(const char *word) {
  static const char *const words[] = {"none", "error", "late", "short", "torn", "kill", "killed"};
  for (int i = 0; i < 7; i++)
    if (strcmp(word, words[i]) == 0) return (enum kind)i;
  abort();
}

__attribute__((constructor)) static void start(void) {
  char word[16];
  const char *log = getenv("QDB_FAULTS_LOG"), *fault = getenv("QDB_FAULTS");
  directory = getenv("QDB_FAULTS_DIR");
  if (!directory || !log || !fault) return;
  if (sscanf(fault, "%ld %15s %d %15s", &fault_at, word, &fault_errno, fault_classes) != 4) abort();
  fault_kind = kind_of(word);
  directory_length = strlen(directory);
  owner = getpid();
  is_command = strcmp(program_invocation_short_name, "node") == 0;
  long fd = syscall(SYS_openat, AT_FDCWD, log, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) abort();
  /* Out of the way of the numbers that the command gets. */
  log_fd = fcntl((int)fd, F_DUPFD_CLOEXEC, 500);
  syscall(SYS_close, fd);
  if (log_fd < 0) abort();
}

static bool is_inside(const char *path) {
  return path && strncmp(path, directory, directory_length) == 0 &&
         (path[directory_length] == '/' || path[directory_length] == 0);
}

/* Whether a path is in the directory. */
static bool watched(const char *path) { return log_fd >= 0 && is_inside(path); }

/* Whether an open file is in the directory; gives its path, with " (deleted)" behind it where it has none any more. */
static bool watched_fd(int fd, char path[PATHS]) {
  if (log_fd < 0 || fd < 0 || fd == log_fd) return false;
  int before = errno;
  char link[40];
  snprintf(link, sizeof link, "/proc/self/fd/%d", fd);
  ssize_t length = syscall(SYS_readlinkat, AT_FDCWD, link, path, PATHS - 1);
  errno = before;
  if (length < 0) return false;
  path[length] = 0;
  return is_inside(path);
}

static void kill_command(void) {
  if (!is_command || getpid() != owner) kill(getppid(), SIGKILL);
  kill(getpid(), SIGKILL);
  for (;;) pause();
}

struct call {
  off_t at;
  char class;
  const char *name, *path, *path2;
  long long offset, length;
  enum kind kind;
};

static void record(const struct call *call, const char *result, int error) {
  char text[RECORD + 1];
  int used = snprintf(text, sizeof text, "%c\t%s\t%s\t%d\t%lld\t%lld\t%s\t%s", call->class, call->name, result, error,
                      call->offset, call->length, call->path ? call->path : "", call->path2 ? call->path2 : "");
  if (used < 0 || used >= RECORD) abort();
  memset(text + used, ' ', (size_t)(RECORD - used));
  text[RECORD - 1] = '\n';
  if (syscall(SYS_pwrite64, log_fd, text, RECORD, call->at) != RECORD) abort();
}

/* Counts a call and says what is to happen to it. */
static struct call begin(char class, const char *name, const char *path, const char *path2, long long offset,
                         long long length) {
  struct call call = {0, class, name, path, path2, offset, length, NONE};
  int before = errno;
  call.at = lseek(log_fd, 0, SEEK_END);
  long number = call.at / RECORD + 1;
  bool is_meant = number == fault_at || (number > fault_at && strchr(fault_classes, class));
  if (is_meant && fault_at > 0) call.kind = fault_kind;
  record(&call, "?", 0);
  if (call.kind == KILL) kill_command();
  errno = before;
  return call;
}

static long end(const struct call *call, long result) {
  int error = errno;
  char text[24];
  if (call->kind == KILLED || call->kind == TORN) kill_command();
  if (call->kind == LATE && result >= 0) {
    result = -1;
    error = fault_errno;
  }
  snprintf(text, sizeof text, "%ld", result);
  record(call, text, result < 0 ? error : 0);
  errno = error;
  return result;
}

static long refused(const struct call *call) {
  errno = fault_errno;
  return end(call, -1);
}

/* Makes a call that is no transfer of bytes. */
#define MAKE(call, expression) ((call).kind == ERROR ? refused(&(call)) : end(&(call), (long)(expression)))

/* The bytes that a transfer takes. */
static size_t taken(const struct call *call, size_t length) {
  return (call->kind == SHORT || call->kind == TORN) && length > 1 ? length / 2 : length;
}

/* --- transfers --- */

#define TRANSFER(class, name, symbol, buffer_type) \
  ssize_t symbol(int fd, buffer_type *buffer, size_t length) { \
    REAL(symbol); \
    char path[PATHS]; \
    if (!watched_fd(fd, path)) return real(fd, buffer, length); \
    struct call call = begin(class, name, path, NULL, -1, (long long)length); \
    return MAKE(call, real(fd, buffer, taken(&call, length))); \
  }
#define TRANSFER_AT(class, name, symbol, buffer_type) \
  ssize_t symbol(int fd, buffer_type *buffer, size_t length, off_t offset) { \
    REAL(symbol); \
    char path[PATHS]; \
    if (!watched_fd(fd, path)) return real(fd, buffer, length, offset); \
    struct call call = begin(class, name, path, NULL, offset, (long long)length); \
    return MAKE(call, real(fd, buffer, taken(&call, length), offset)); \
  }

TRANSFER('r', "read", read, void)
TRANSFER('w', "write", write, const void)
TRANSFER_AT('r', "pread", pread, void)
TRANSFER_AT('r', "pread", pread64, void)
TRANSFER_AT('w', "pwrite", pwrite, const void)
TRANSFER_AT('w', "pwrite", pwrite64, const void)

/* --- calls on an open file --- */

#define ON_FD(class, name, symbol, parameters, arguments, offset, length) \
  int symbol parameters { \
    REAL(symbol); \
    char path[PATHS]; \
    if (!watched_fd(fd, path)) return real arguments; \
    struct call call = begin(class, name, path, NULL, offset, length); \
    return (int)MAKE(call, real arguments); \
  }

ON_FD('f', "fsync", fsync, (int fd), (fd), -1, -1)
ON_FD('f', "fdatasync", fdatasync, (int fd), (fd), -1, -1)
ON_FD('w', "ftruncate", ftruncate, (int fd, off_t length), (fd, length), -1, length)
ON_FD('w', "ftruncate", ftruncate64, (int fd, off_t length), (fd, length), -1, length)
ON_FD('w', "fchmod", fchmod, (int fd, mode_t mode), (fd, mode), -1, -1)
ON_FD('w', "fchown", fchown, (int fd, uid_t user, gid_t group), (fd, user, group), -1, -1)
ON_FD('l', "flock", flock, (int fd, int operation), (fd, operation), -1, operation)
ON_FD('c', "close", close, (int fd), (fd), -1, -1)

/* --- calls on paths --- */

#define ON_PATH(class, name, symbol, parameters, arguments) \
  int symbol parameters { \
    REAL(symbol); \
    if (!watched(path)) return real arguments; \
    struct call call = begin(class, name, path, NULL, -1, -1); \
    return (int)MAKE(call, real arguments); \
  }
#define ON_PATHS(class, name, symbol, parameters, arguments) \
  int symbol parameters { \
    REAL(symbol); \
    if (!watched(path) && !watched(path2)) return real arguments; \
    struct call call = begin(class, name, path, path2, -1, -1); \
    return (int)MAKE(call, real arguments); \
  }

ON_PATH('w', "unlink", unlink, (const char *path), (path))
ON_PATH('s', "access", access, (const char *path, int mode), (path, mode))
ON_PATHS('w', "link", link, (const char *path, const char *path2), (path, path2))
ON_PATHS('w', "rename", rename, (const char *path, const char *path2), (path, path2))

ssize_t readlink(const char *path, char *buffer, size_t length) {
  REAL(readlink);
  if (!watched(path)) return real(path, buffer, length);
  struct call call = begin('s', "readlink", path, NULL, -1, -1);
  return MAKE(call, real(path, buffer, length));
}

/* A call that gives a pointer: 0 is success in the log. */
#define ON_PATH_FOR_POINTER(name, type, symbol, parameters, arguments) \
  type symbol parameters { \
    REAL(symbol); \
    if (!watched(path)) return real arguments; \
    struct call call = begin('s', name, path, NULL, -1, -1); \
    type found = call.kind == ERROR ? NULL : real arguments; \
    return MAKE(call, found ? 0 : -1) < 0 ? NULL : found; \
  }

ON_PATH_FOR_POINTER("opendir", DIR *, opendir, (const char *path), (path))
ON_PATH_FOR_POINTER("realpath", char *, realpath, (const char *restrict path, char *restrict place), (path, place))

int closedir(DIR *listing) {
  REAL(closedir);
  char path[PATHS];
  if (!watched_fd(dirfd(listing), path)) return real(listing);
  struct call call = begin('c', "close", path, NULL, -1, -1);
  return (int)MAKE(call, real(listing));
}

#define OPEN(symbol) \
  int symbol(const char *path, int flags, ...) { \
    REAL(symbol); \
    va_list rest; \
    va_start(rest, flags); \
    mode_t mode = flags & (O_CREAT | O_TMPFILE) ? va_arg(rest, mode_t) : 0; \
    va_end(rest); \
    if (!watched(path)) return real(path, flags, mode); \
    struct call call = begin(flags & O_CREAT ? 'w' : 'o', flags & O_CREAT ? "create" : "open", path, NULL, -1, -1); \
    return (int)MAKE(call, real(path, flags, mode)); \
  }

OPEN(open)
OPEN(open64)

/* --- calls that libuv makes without a function of the library --- */

static int look(int at, const char *path, int flags, unsigned mask, struct statx *facts) {
  REAL(statx);
  char name[PATHS];
  bool is_fd = path == NULL || *path == 0;
  if (is_fd ? !watched_fd(at, name) : !watched(path)) return real(at, path, flags, mask, facts);
  struct call call = begin('s', is_fd ? "fstat" : "stat", is_fd ? name : path, NULL, -1, -1);
  return (int)MAKE(call, real(at, path, flags, mask, facts));
}

int statx(int at, const char *path, int flags, unsigned mask, struct statx *facts) {
  return look(at, path, flags, mask, facts);
}

long syscall(long number, ...) {
  REAL(syscall);
  va_list rest;
  long a[6];
  va_start(rest, number);
  for (int i = 0; i < 6; i++) a[i] = va_arg(rest, long);
  va_end(rest);
  /* This file's own calls come here too. */
  if (log_fd >= 0 && number == SYS_statx)
    return look((int)a[0], (const char *)a[1], (int)a[2], (unsigned)a[3], (struct statx *)a[4]);
  if (log_fd >= 0 && number == SYS_close && (int)a[0] != log_fd) return close((int)a[0]);
  return real(number, a[0], a[1], a[2], a[3], a[4], a[5]);
}
