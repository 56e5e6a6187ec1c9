/* SPDX-License-Identifier: CC0-1.0 OR MIT */
#include "json.h"

#include <string.h>

#include "bytes.h"

/* The length of the UTF-8 character at the start of the text, or 0 if there is none. */
static size_t character(const uint8_t *text, size_t length) {
  for (size_t size = 1; size <= 4 && size <= length; size++)
    if (is_utf8(text, size)) return size;
  return 0;
}

void out_string(struct out *out, const uint8_t *text, size_t length) {
  out_text(out, "\"");
  for (size_t i = 0; i < length;) {
    size_t size = character(text + i, length - i);
    if (size == 0) {
      out_text(out, "\\ufffd");
      size = 1;
    } else if (text[i] < 0x20 || text[i] == 0x7f) {
      out_text(out, "\\u");
      out_digits(out, text[i], 4);
    } else {
      if (text[i] == '"' || text[i] == '\\') out_text(out, "\\");
      out_bytes(out, text + i, size);
    }
    i += size;
  }
  out_text(out, "\"");
}

void out_comma(struct out *out) {
  if (out->last != '{' && out->last != '[') out_text(out, ",");
}

void out_key(struct out *out, const char *key) {
  out_comma(out);
  out_string(out, (const uint8_t *)key, strlen(key));
  out_text(out, ":");
}

void out_key_number(struct out *out, const char *key, uint64_t number) {
  out_key(out, key);
  out_number(out, number);
}

void out_key_u64(struct out *out, const char *key, uint64_t number) {
  out_key(out, key);
  out_text(out, "\"");
  out_number(out, number);
  out_text(out, "\"");
}

void out_key_text(struct out *out, const char *key, const char *text) {
  out_key(out, key);
  out_text(out, "\"");
  out_text(out, text);
  out_text(out, "\"");
}
