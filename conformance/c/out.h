/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Output that can be undone until it is sent. It is kept in memory up to a bound, then in a temporary file. */
#ifndef QDB_OUT_H
#define QDB_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { OUT_ROOM = 1 << 20 };

struct out {
  size_t held;
  uint64_t spilled; /* bytes of the output that are in the temporary file */
  FILE *spill;
  bool broken; /* some output could not be kept */
  char last; /* last byte of the output */
  char buffer[OUT_ROOM];
};

/* A new output; NULL if there is no memory. */
struct out *out_new(void);
void out_free(struct out *out);

/* A position in the output. out_cut removes all output behind it. */
struct mark {
  uint64_t length;
  char last;
};
struct mark out_mark(const struct out *out);
void out_cut(struct out *out, struct mark mark);

/* Sends all output and starts an empty one; false if some of it was lost. */
bool out_send(struct out *out, FILE *to);

void out_bytes(struct out *out, const void *bytes, size_t length);
void out_text(struct out *out, const char *text);
void out_number(struct out *out, uint64_t number);

/* Bytes as hex digits, and the lowest `digits` hex digits of a number, in lower case (QDB-JSN-009). */
void out_hex(struct out *out, const uint8_t *bytes, size_t length);
void out_digits(struct out *out, uint64_t number, int digits);

#endif
