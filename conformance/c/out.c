/* SPDX-License-Identifier: CC0-1.0 OR MIT */
#define _GNU_SOURCE /* fseeko and a 64-bit off_t */
#define _FILE_OFFSET_BITS 64
#include "out.h"

#include <stdlib.h>
#include <string.h>

struct out *out_new(void) {
  struct out *out = malloc(sizeof *out);
  if (!out) return NULL;
  out->held = 0;
  out->spilled = 0;
  out->spill = NULL;
  out->broken = false;
  out->last = 0;
  return out;
}

void out_free(struct out *out) {
  if (!out) return;
  if (out->spill) fclose(out->spill);
  free(out);
}

struct mark out_mark(const struct out *out) { return (struct mark){out->spilled + out->held, out->last}; }

void out_cut(struct out *out, struct mark mark) {
  out->last = mark.last;
  if (mark.length >= out->spilled) {
    out->held = (size_t)(mark.length - out->spilled);
    return;
  }
  out->held = 0;
  out->spilled = mark.length;
  if (fseeko(out->spill, (off_t)mark.length, SEEK_SET) != 0) out->broken = true;
}

static void spill(struct out *out) {
  if (!out->spill) out->spill = tmpfile();
  if (!out->spill || fwrite(out->buffer, 1, out->held, out->spill) != out->held) out->broken = true;
  out->spilled += out->held;
  out->held = 0;
}

bool out_send(struct out *out, FILE *to) {
  uint64_t left = out->spilled;
  if (left) {
    spill(out);
    left = out->spilled;
    if (out->broken || fseeko(out->spill, 0, SEEK_SET) != 0) out->broken = true;
    while (left && !out->broken) {
      size_t part = fread(out->buffer, 1, left < OUT_ROOM ? (size_t)left : OUT_ROOM, out->spill);
      if (part == 0 || fwrite(out->buffer, 1, part, to) != part) out->broken = true;
      left -= part;
    }
  } else if (fwrite(out->buffer, 1, out->held, to) != out->held) {
    out->broken = true;
  }
  if (fflush(to) != 0) out->broken = true;
  return !out->broken;
}

void out_bytes(struct out *out, const void *bytes, size_t length) {
  const char *from = bytes;
  while (length && !out->broken) {
    size_t room = OUT_ROOM - out->held, part = length < room ? length : room;
    memcpy(out->buffer + out->held, from, part);
    out->held += part;
    out->last = from[part - 1];
    from += part;
    length -= part;
    if (out->held == OUT_ROOM) spill(out);
  }
}

void out_text(struct out *out, const char *text) { out_bytes(out, text, strlen(text)); }

void out_number(struct out *out, uint64_t number) {
  char digits[20], *first = digits + sizeof digits;
  do *--first = (char)('0' + number % 10);
  while (number /= 10);
  out_bytes(out, first, (size_t)(digits + sizeof digits - first));
}

void out_digits(struct out *out, uint64_t number, int digits) {
  char text[16];
  for (int i = digits; i--; number >>= 4) text[i] = "0123456789abcdef"[number & 15];
  out_bytes(out, text, (size_t)digits);
}

void out_hex(struct out *out, const uint8_t *bytes, size_t length) {
  for (size_t i = 0; i < length; i++) out_digits(out, bytes[i], 2);
}
