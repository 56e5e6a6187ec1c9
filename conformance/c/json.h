/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* JSON: keys, strings and numbers. */
#ifndef QDB_JSON_H
#define QDB_JSON_H

#include "out.h"

/* A string of UTF-8 text; bytes that are not UTF-8 become U+FFFD. */
void out_string(struct out *out, const uint8_t *text, size_t length);

/* `"key":`, with a comma before it unless it is the first of its object. */
void out_key(struct out *out, const char *key);

/* A comma, unless the next element is the first of its array. */
void out_comma(struct out *out);

/* A key with a number, with a u64 as a string (QDB-JSN-002), and with a text that needs no escapes. */
void out_key_number(struct out *out, const char *key, uint64_t number);
void out_key_u64(struct out *out, const char *key, uint64_t number);
void out_key_text(struct out *out, const char *key, const char *text);

#endif
