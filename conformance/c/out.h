/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Output that can be taken back until it is sent: in memory up to a bound, then in a temporary file. */
#ifndef QDB_OUT_H
#define QDB_OUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

enum { OUT_ROOM = 1 << 20 };

struct out {
  size_t held;
  uint64_t spilled; /* bytes in the temporary file that count */
  FILE *spill;
  bool broken; /* something could not be kept */
  char last; /* the last byte that was written */
  char buffer[OUT_ROOM];
};

/* A new output, or NULL where there is no memory. */
struct out *out_new(void);
void out_free(struct out *out);

/* A place in the output; and taking back all that was written since. */
struct mark {
  uint64_t length;
  char last;
};
struct mark out_mark(const struct out *out);
void out_cut(struct out *out, struct mark mark);

/* Sends everything and begins anew; false where a part of it was lost. */
bool out_send(struct out *out, FILE *to);

void out_bytes(struct out *out, const void *bytes, size_t length);
void out_text(struct out *out, const char *text);
void out_number(struct out *out, uint64_t number);

/* Bytes as hex digits, and the lowest `digits` hex digits of a number, in lower case (QDB-JSN-009). */
void out_hex(struct out *out, const uint8_t *bytes, size_t length);
void out_digits(struct out *out, uint64_t number, int digits);

/* A JSON string of UTF-8 text; bytes that are none become U+FFFD. */
void out_string(struct out *out, const uint8_t *text, size_t length);

/* `"key":`, with a comma before it where something stands before it in its object. */
void out_key(struct out *out, const char *key);

/* A comma where something stands before this element of an array. */
void out_comma(struct out *out);

/* A key with a number, with a u64 as a string (QDB-JSN-002), and with a text that needs no escapes. */
void out_key_number(struct out *out, const char *key, uint64_t number);
void out_key_u64(struct out *out, const char *key, uint64_t number);
void out_key_text(struct out *out, const char *key, const char *text);

#endif
