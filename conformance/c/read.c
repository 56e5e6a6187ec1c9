/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Reads a file, and starts again if a writer changed it meanwhile (QDB-CMT-061 to QDB-CMT-067). */
#define _POSIX_C_SOURCE 200809L /* nanosleep */
#include "read.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "areas.h"
#include "bytes.h"
#include "entries.h"
#include "extensions.h"
#include "header.h"
#include "json.h"
#include "l1.h"
#include "model.h"
#include "names.h"
#include "opening.h"
#include "owners.h"
#include "qdb.h"
#include "source.h"
#include "table.h"

/* Frees what an attempt holds. */
static void forget(struct qdb *file) {
  for (uint32_t i = 0; file->bitmaps && i < file->header.nb_bitmaps; i++) free(file->bitmaps[i].l1);
  free(file->bitmaps);
  free(file->spans);
  free(file->table);
}

static int digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  c |= 0x20;
  return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* Whether a bitmap has this name. If as_hex, the name is given as `hex:` and its bytes. */
static bool is_named(const struct bitmap *bitmap, const char *name, bool as_hex) {
  const uint8_t *own = name_of(bitmap);
  size_t length = strlen(name), size = bitmap->name_size;
  if (!as_hex) return length == size && memcmp(own, name, size) == 0;
  if (strncmp(name, "hex:", 4) != 0 || length != 4 + 2 * size) return false;
  for (size_t i = 0; i < size; i++)
    if (digit(name[4 + 2 * i]) != own[i] >> 4 || digit(name[5 + 2 * i]) != (own[i] & 15)) return false;
  return true;
}

/* Marks the wanted bitmaps. A bitmap whose own name begins with `hex:` is found first. */
static bool want(struct qdb *file, enum request request, const char *name) {
  bool found = request == READ_ALL;
  for (uint32_t i = 0; i < file->header.nb_bitmaps && request == READ_ALL; i++) file->bitmaps[i].wanted = true;
  for (int as_hex = 0; as_hex <= 1; as_hex++)
    for (uint32_t i = 0; i < file->header.nb_bitmaps && !found; i++)
      found = file->bitmaps[i].wanted = is_named(&file->bitmaps[i], name, as_hex);
  if (found) return true;
  return fail(&file->error, "NOT_FOUND", "QDB-ERR-005", "bitmap: none of that name", NOWHERE);
}

static void write_names(const struct qdb *file, struct out *out) {
  out_key(out, "names");
  out_text(out, "[");
  for (uint32_t i = 0; i < file->header.nb_bitmaps; i++) {
    const struct bitmap *bitmap = &file->bitmaps[i];
    const uint8_t *name = name_of(bitmap);
    out_comma(out);
    if (is_utf8(name, bitmap->name_size)) {
      out_string(out, name, bitmap->name_size);
      continue;
    }
    out_text(out, "\"hex:");
    out_hex(out, name, bitmap->name_size);
    out_text(out, "\"");
  }
  out_text(out, "]");
}

static bool attempt(struct qdb *file, enum request request, const char *name, struct out *out) {
  if (!read_opening(file) || !read_header(file) || !read_extensions(file) || !read_table(file)) return false;
  if (request == READ_LIST) {
    write_names(file, out);
    return true;
  }
  if (!want(file, request, name)) return false;
  judge_bitmaps(file);
  /* QDB-OWN-004, QDB-OWN-005: owners are checked before any data cluster is read. */
  if (file->error.code || !read_areas(file) || !judge_owners(file)) return false;
  judge_entries(file);
  out_key(out, "model");
  write_model(file, out);
  return !file->error.code;
}

/* QDB-CMT-061: whether the primary is the same as at the start of the attempt. */
static bool unchanged(struct qdb *file) {
  uint8_t again[AREA];
  file->source.failed = false;
  source_round(&file->source);
  bool same = source_primary(&file->source, again) == file->primary_have && memcmp(again, file->primary, AREA) == 0;
  if (same || !file->source.failed) return same;
  /* QDB-CMT-068: a failed read does not mean that a writer committed. */
  file->error = (struct error){"IO", "QDB-CMT-068", "header: the system cannot read it any more", 0};
  return true;
}

static double now(void) {
  struct timespec time;
  clock_gettime(CLOCK_MONOTONIC, &time);
  return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

/* QDB-CMT-066: 1 ms before the second attempt, then twice as long each time, up to 256 ms. */
static void pause_before(int start) {
  long ms = 1L << (start < 9 ? start - 1 : 8);
  nanosleep(&(struct timespec){0, ms * 1000000}, NULL);
}

bool answer_read(const char *path, enum request request, const char *name, struct out *out, struct error *error) {
  struct source source = {0};
  if (!source_open(&source, path, error)) return false;
  struct mark mark = out_mark(out);
  bool good = false, steady = false;
  double begin = now();
  /* QDB-CMT-067. */
  for (int starts = 0; !steady && (starts <= 8 || now() - begin < 10); starts++) {
    if (starts > 0) pause_before(starts);
    struct qdb *file = calloc(1, sizeof *file);
    if (!file) {
      close(source.fd);
      return fail(error, "LIMIT", "QDB-BND-001", "file: no memory", NOWHERE);
    }
    file->source = source;
    out_cut(out, mark);
    good = attempt(file, request, name, out);
    steady = unchanged(file);
    good = good && !file->error.code;
    source = file->source;
    *error = file->error;
    forget(file);
    free(file);
  }
  close(source.fd);
  if (!steady) {
    *error = (struct error){"LOCKED", "QDB-CMT-067", "header: changed each time that the file was read", 0};
    good = false;
  }
  if (!good) out_cut(out, mark);
  if (!good || request == READ_ALL) return good;
  out_key(out, "io");
  out_text(out, "{");
  out_key_number(out, "bytes", source.bytes);
  out_key_number(out, "rounds", source.rounds);
  out_text(out, "}");
  return true;
}
