/* SPDX-License-Identifier: CC0-1.0 OR MIT */
#include "extents.h"

#include "bytes.h"
#include "json.h"

void extents_end(struct extents *extents) {
  if (extents->first == extents->end) return;
  /* Neither product overflows: the bits end in the granule of the last byte, and size is below 2^63. */
  uint64_t offset = extents->first * extents->granularity, end = extents->end * extents->granularity;
  if (end > extents->size) end = extents->size;
  out_comma(extents->out);
  out_text(extents->out, "[\"");
  out_number(extents->out, offset);
  out_text(extents->out, "\",\"");
  out_number(extents->out, end - offset);
  out_text(extents->out, "\"]");
  extents->dirty_bytes += end - offset;
}

void extents_add(struct extents *extents, uint64_t first, uint64_t end) {
  if (first != extents->end || extents->first == extents->end) {
    extents_end(extents);
    extents->first = first;
  }
  extents->end = end;
}

void extents_scan(struct extents *extents, const uint8_t *data, uint64_t count, uint64_t base) {
  for (uint64_t at = 0; at < count; at += 64) {
    uint64_t word = bits64(data + at / 8);
    if (count - at < 64) word &= ((uint64_t)1 << (count - at)) - 1;
    if (word == UINT64_MAX) {
      extents_add(extents, base + at, base + at + 64);
      continue;
    }
    while (word) {
      int start = __builtin_ctzll(word), length = __builtin_ctzll(~(word >> start));
      extents_add(extents, base + at + (uint64_t)start, base + at + (uint64_t)(start + length));
      /* Adding the lowest bit of the run carries through it. */
      word &= word + ((uint64_t)1 << start);
    }
  }
}
