/* SPDX-License-Identifier: CC0-1.0 OR MIT */
#define _GNU_SOURCE /* pread and a 64-bit off_t */
#define _FILE_OFFSET_BITS 64
#include "source.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

bool source_open(struct source *source, const char *path, struct error *error) {
  /* O_NONBLOCK: opening a FIFO without a writer must not block. */
  source->fd = open(path, O_RDONLY | O_NONBLOCK | O_CLOEXEC);
  if (source->fd < 0) {
    bool absent = errno == ENOENT || errno == ENOTDIR;
    if (absent) return fail(error, "NOT_FOUND", "QDB-ERR-005", "file: is not there", NOWHERE);
    return fail(error, "IO", "QDB-ERR-007", "file: cannot be opened", NOWHERE);
  }
  struct stat status;
  if (fstat(source->fd, &status) == 0 && !S_ISDIR(status.st_mode) && source_measure(source)) return true;
  close(source->fd);
  return fail(error, "IO", "QDB-ERR-007", "file: cannot be read by position", NOWHERE);
}

bool source_measure(struct source *source) {
  off_t end = lseek(source->fd, 0, SEEK_END);
  source->size = end < 0 ? 0 : (uint64_t)end;
  return end >= 0;
}

void source_round(struct source *source) { source->fresh_round = true; }

uint64_t source_some(struct source *source, uint64_t offset, uint8_t *bytes, uint64_t length) {
  uint64_t got = 0;
  if (source->fresh_round && length) {
    source->rounds++;
    source->fresh_round = false;
  }
  errno = 0;
  while (got < length) {
    uint64_t step = length - got < 1 << 30 ? length - got : 1 << 30;
    ssize_t part = pread(source->fd, bytes + got, (size_t)step, (off_t)(offset + got));
    if (part < 0 && errno == EINTR) continue;
    if (part < 0) source->failed = true;
    if (part == 0) errno = 0;
    if (part <= 0) break;
    got += (uint64_t)part;
  }
  source->bytes += got;
  return got;
}

uint32_t source_primary(struct source *source, uint8_t primary[AREA]) {
  memset(primary, 0, AREA);
  uint32_t have = (uint32_t)source_some(source, 0, primary, AREA);
  /* QDB-OPN-020: if reading all fails, the sectors before the bad one may still be readable. */
  if (have == 0 && errno)
    while (have < AREA && source_some(source, have, primary + have, 512) == 512) have += 512;
  return have;
}

bool source_all(struct source *source, uint64_t offset, uint8_t *bytes, uint64_t length, struct error *error) {
  uint64_t got = source_some(source, offset, bytes, length);
  if (got == length) return true;
  if (errno) return fail(error, "IO", "QDB-ERR-007", "file: the system cannot read", offset + got);
  return fail(error, "SHORT_READ", "QDB-ERR-008", "file: became shorter", offset + got);
}
