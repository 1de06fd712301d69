/* Preloaded into a process: every write, sync and rename of the files whose path begins with
   CUTS_FILES goes to the log CUTS_LOG, with its data and its time; and the disk may be made full
   (after so many bytes more) or read-only through the mapped words of CUTS_CONTROL. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { CREATE = 1, WRITE, TRUNCATE, SYNC, UNLINK, RENAME };
enum { FINE = 0, FULL = 1, READ_ONLY = 2 };
#define FDS 4096

struct record { uint32_t op, path_bytes; uint64_t offset, bytes, ns; };
struct control { volatile int64_t mode, bytes_left; };

static char *names[FDS];
static int log_fd = -1;
static struct control nothing, *control = &nothing;
static const char *prefix;
static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;

static int (*real_open)(const char *, int, ...);
static ssize_t (*real_pwrite)(int, const void *, size_t, off_t);
static ssize_t (*real_write)(int, const void *, size_t);
static int (*real_ftruncate)(int, off_t), (*real_fsync)(int), (*real_fdatasync)(int);
static int (*real_unlink)(const char *), (*real_rename)(const char *, const char *), (*real_close)(int);

__attribute__((constructor)) static void begin(void) {
  real_open = dlsym(RTLD_NEXT, "open64");
  real_pwrite = dlsym(RTLD_NEXT, "pwrite64");
  real_write = dlsym(RTLD_NEXT, "write");
  real_ftruncate = dlsym(RTLD_NEXT, "ftruncate64");
  real_fsync = dlsym(RTLD_NEXT, "fsync");
  real_fdatasync = dlsym(RTLD_NEXT, "fdatasync");
  real_unlink = dlsym(RTLD_NEXT, "unlink");
  real_rename = dlsym(RTLD_NEXT, "rename");
  real_close = dlsym(RTLD_NEXT, "close");
  prefix = getenv("CUTS_FILES");
  const char *log = getenv("CUTS_LOG"), *told = getenv("CUTS_CONTROL");
  if (log) log_fd = real_open(log, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
  if (told) {
    int fd = real_open(told, O_RDWR | O_CLOEXEC);
    void *at = mmap(NULL, sizeof *control, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (at != MAP_FAILED) control = at;
    real_close(fd);
  }
}

static int ours(const char *path) {
  return prefix && path && !strncmp(path, prefix, strlen(prefix));
}

static const char *name_of(int fd) { return fd >= 0 && fd < FDS ? names[fd] : NULL; }

static void note(uint32_t op, const char *path, uint64_t offset, const void *data, uint64_t bytes) {
  if (log_fd < 0) return;
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  struct record r = {op, strlen(path), offset, bytes, now.tv_sec * 1000000000ull + now.tv_nsec};
  struct iovec parts[3] = {{&r, sizeof r}, {(void *)path, r.path_bytes}, {(void *)data, data ? bytes : 0}};
  int kept = errno;
  writev(log_fd, parts, 3);
  errno = kept;
}

/* Say how many of some bytes there is room for; -1 with errno when there is none. */
static ssize_t room(size_t bytes) {
  if (control->mode == READ_ONLY) { errno = EROFS; return -1; }
  if (control->mode != FULL) return bytes;
  if (control->bytes_left <= 0) { errno = ENOSPC; return -1; }
  ssize_t fits = control->bytes_left < (int64_t)bytes ? control->bytes_left : (int64_t)bytes;
  control->bytes_left -= fits;
  return fits;
}

static int opened(const char *path, int flags, mode_t mode) {
  int is_ours = ours(path), writes = flags & (O_WRONLY | O_RDWR | O_CREAT);
  struct stat known;
  int is_new = is_ours && (flags & O_CREAT) && stat(path, &known);
  if (is_ours && control->mode == READ_ONLY && writes) { errno = EROFS; return -1; }
  if (is_new && control->mode == FULL && control->bytes_left <= 0) { errno = ENOSPC; return -1; }
  int fd = real_open(path, flags, mode);
  if (is_ours && fd >= 0 && fd < FDS) {
    pthread_mutex_lock(&lock);
    names[fd] = strdup(path);
    if (is_new) note(CREATE, path, 0, NULL, 0);
    pthread_mutex_unlock(&lock);
  }
  return fd;
}

#define OPEN(name)                                                                     \
  int name(const char *path, int flags, ...) {                                         \
    va_list more; va_start(more, flags); mode_t mode = va_arg(more, int); va_end(more); \
    return opened(path, flags, mode);                                                  \
  }
OPEN(open)
OPEN(open64)

static ssize_t written(int fd, const void *data, size_t bytes, off_t offset) {
  pthread_mutex_lock(&lock);
  ssize_t fits = room(bytes);
  if (fits > 0) {
    fits = real_pwrite(fd, data, fits, offset);
    if (fits > 0) note(WRITE, names[fd], offset, data, fits);
  }
  pthread_mutex_unlock(&lock);
  return fits;
}

ssize_t pwrite64(int fd, const void *data, size_t bytes, off_t offset) {
  return name_of(fd) ? written(fd, data, bytes, offset) : real_pwrite(fd, data, bytes, offset);
}
ssize_t pwrite(int fd, const void *data, size_t bytes, off_t offset) {
  return pwrite64(fd, data, bytes, offset);
}
ssize_t write(int fd, const void *data, size_t bytes) {
  if (!name_of(fd)) return real_write(fd, data, bytes);
  off_t at = lseek(fd, 0, SEEK_CUR);
  ssize_t done = written(fd, data, bytes, at);
  if (done > 0) lseek(fd, at + done, SEEK_SET);
  return done;
}

int ftruncate64(int fd, off_t bytes) {
  if (!name_of(fd)) return real_ftruncate(fd, bytes);
  if (control->mode == READ_ONLY) { errno = EROFS; return -1; }
  pthread_mutex_lock(&lock);
  int done = real_ftruncate(fd, bytes);
  if (!done) note(TRUNCATE, names[fd], bytes, NULL, 0);
  pthread_mutex_unlock(&lock);
  return done;
}
int ftruncate(int fd, off_t bytes) { return ftruncate64(fd, bytes); }

static int synced(int fd, int (*real)(int)) {
  if (!name_of(fd)) return real(fd);
  pthread_mutex_lock(&lock);
  note(SYNC, names[fd], 0, NULL, 0); /* after all that it covers; the model needs no real sync */
  pthread_mutex_unlock(&lock);
  return 0;
}
int fsync(int fd) { return synced(fd, real_fsync); }
int fdatasync(int fd) { return synced(fd, real_fdatasync); }

int unlink(const char *path) {
  if (!ours(path)) return real_unlink(path);
  if (control->mode == READ_ONLY) { errno = EROFS; return -1; }
  pthread_mutex_lock(&lock);
  int done = real_unlink(path);
  if (!done) note(UNLINK, path, 0, NULL, 0);
  pthread_mutex_unlock(&lock);
  return done;
}

int rename(const char *from, const char *to) {
  if (!ours(from)) return real_rename(from, to);
  if (control->mode == READ_ONLY) { errno = EROFS; return -1; }
  pthread_mutex_lock(&lock);
  int done = real_rename(from, to);
  if (!done) note(RENAME, from, 0, to, strlen(to));
  pthread_mutex_unlock(&lock);
  return done;
}

int close(int fd) {
  if (name_of(fd)) {
    pthread_mutex_lock(&lock);
    free(names[fd]);
    names[fd] = NULL;
    pthread_mutex_unlock(&lock);
  }
  return real_close(fd);
}
