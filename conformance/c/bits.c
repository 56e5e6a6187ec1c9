/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Reads and verifies the data clusters of a bitmap. Clusters of zeros or ones are never expanded into bytes. */
#include "bits.h"

#include <stdlib.h>
#include <string.h>

#include "crc32.h"
#include "extents.h"
#include "json.h"
#include "l1.h"
#include "sha256.h"
#include "source.h"

enum { WINDOW = 256 << 10, PATTERN = 4096, UNSTORED = 16 << 20 };

struct reading {
  struct qdb *file;
  struct bitmap *bitmap;
  struct extents extents;
  struct sha256 *hash; /* NULL if no digest is due (QDB-JSN-025) */
  uint8_t *window;
  uint32_t first, count; /* the L1 entries whose clusters are in the window */
};

/* Adds the bytes of `bits` bits to the digest; bits behind the last one count as zero (QDB-JSN-018). */
static void hash_data(struct reading *reading, const uint8_t *data, uint64_t bits) {
  uint8_t last = (uint8_t)(data[bits / 8] & ((1 << bits % 8) - 1));
  sha256_add(reading->hash, data, (size_t)(bits / 8));
  if (bits % 8) sha256_add(reading->hash, &last, 1);
}

static void hash_pattern(struct reading *reading, bool ones, uint64_t bits) {
  uint8_t pattern[PATTERN + 1];
  memset(pattern, ones ? 255 : 0, sizeof pattern);
  for (uint64_t done = 0, part; done < bits; done += part) {
    part = bits - done < 8 * PATTERN ? bits - done : 8 * PATTERN;
    hash_data(reading, pattern, part);
  }
}

/* Reads the cluster of entry i, and those of the next entries that follow it in the file and fit into the window. */
static bool fill_window(struct reading *reading, uint32_t i) {
  struct bitmap *bitmap = reading->bitmap;
  uint64_t cluster = reading->file->header.cluster, offset = l1_entry(bitmap, i);
  uint64_t most = cluster > WINDOW ? 1 : WINDOW / cluster;
  if (!reading->window) reading->window = malloc(most * cluster + 1);
  if (!reading->window) return fail(&bitmap->error, "LIMIT", "QDB-BND-001", "data cluster: no memory", offset);
  uint32_t count = 1;
  while (count < most && bitmap->l1_size - i > count && l1_entry(bitmap, i + count) == offset + count * cluster)
    count++;
  reading->first = i;
  reading->count = count;
  if (source_some(&reading->file->source, offset, reading->window, count * cluster) == count * cluster) return true;
  return fail(&bitmap->error, "IO", "QDB-MAP-021", "data cluster: cannot be read", offset);
}

/* Adds the data of entry i: `bits` bits, the first of which has the number `base`. */
static bool read_cluster(struct reading *reading, uint32_t i, uint64_t base, uint64_t bits) {
  struct bitmap *bitmap = reading->bitmap;
  uint64_t cluster = reading->file->header.cluster;
  if (i - reading->first >= reading->count && !fill_window(reading, i)) return false;
  const uint8_t *data = reading->window + (i - reading->first) * cluster;
  /* QDB-MAP-018: the checksum is checked before the bits behind the last one. */
  if (!reading->file->header.draft && crc32(0, data, cluster) != l1_crc(bitmap, i))
    return fail(&bitmap->error, "BAD_CHECKSUM", "QDB-MAP-002", "data cluster: its checksum", l1_entry(bitmap, i));
  extents_scan(&reading->extents, data, bits, base);
  if (reading->hash) hash_data(reading, data, bits);
  return true;
}

static bool read_entries(struct reading *reading) {
  struct bitmap *bitmap = reading->bitmap;
  uint64_t step = 8 * reading->file->header.cluster, base = 0;
  for (uint32_t i = 0; i < bitmap->l1_size; i++, base += step) {
    uint64_t entry = l1_entry(bitmap, i), bits = bitmap->bits - base < step ? bitmap->bits - base : step;
    if (reads_cluster(entry)) {
      if (!read_cluster(reading, i, base, bits)) return false;
      continue;
    }
    if (entry & L1_ONES) extents_add(&reading->extents, base, base + bits);
    if (reading->hash) hash_pattern(reading, entry & L1_ONES, bits);
  }
  extents_end(&reading->extents);
  return true;
}

/* Bytes of the bitmap data that no cluster stores. */
static uint64_t unstored_bytes(const struct qdb *file, const struct bitmap *bitmap) {
  uint64_t left = (bitmap->bits + 7) / 8, bytes = 0;
  for (uint32_t i = 0; i < bitmap->l1_size; i++) {
    uint64_t here = left < file->header.cluster ? left : file->header.cluster;
    if (!reads_cluster(l1_entry(bitmap, i))) bytes += here;
    left -= here;
  }
  return bytes;
}

bool write_bits(struct qdb *file, struct bitmap *bitmap, struct out *out) {
  struct sha256 hash;
  uint8_t digest[32];
  uint64_t unstored = unstored_bytes(file, bitmap);
  bool due = unstored <= UNSTORED - file->unstored;
  struct reading reading = {.file = file, .bitmap = bitmap, .hash = due ? &hash : NULL};
  reading.extents = (struct extents){.out = out, .granularity = bitmap->granularity, .size = bitmap->size};
  struct mark mark = out_mark(out);
  sha256_begin(&hash);
  out_key(out, "dirty");
  out_text(out, "[");
  bool good = read_entries(&reading);
  free(reading.window);
  if (!good) {
    out_cut(out, mark);
    return false;
  }
  out_text(out, "]");
  out_key_u64(out, "dirty_bytes", reading.extents.dirty_bytes);
  if (!due) return true;
  file->unstored += unstored;
  sha256_end(&hash, digest);
  out_key(out, "bits_sha256");
  out_text(out, "\"");
  out_hex(out, digest, 32);
  out_text(out, "\"");
  return true;
}
