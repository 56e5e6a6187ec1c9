/* SPDX-License-Identifier: CC0-1.0 OR MIT */
#include "bytes.h"

#include <string.h>

uint16_t be16(const uint8_t *bytes) { return (uint16_t)(bytes[0] << 8 | bytes[1]); }

uint32_t be32(const uint8_t *bytes) { return (uint32_t)be16(bytes) << 16 | be16(bytes + 2); }

uint64_t be64(const uint8_t *bytes) { return (uint64_t)be32(bytes) << 32 | be32(bytes + 4); }

uint64_t bits64(const uint8_t *bytes) {
  uint64_t bits = 0;
  for (int i = 7; i >= 0; i--) bits = bits << 8 | bytes[i];
  return bits;
}

uint64_t align8(uint64_t number) { return (number + 7) & ~(uint64_t)7; }

uint64_t ceil_div(uint64_t number, uint64_t divisor) { return number ? (number - 1) / divisor + 1 : 0; }

bool inside(uint64_t offset, uint64_t length, uint64_t file_size) {
  const uint64_t most = (uint64_t)1 << 53;
  if (offset > most || length > most - offset) return false;
  return offset + length <= file_size;
}

bool is_utf8(const uint8_t *bytes, size_t length) {
  size_t i = 0;
  while (i < length) {
    uint8_t lead = bytes[i++];
    if (lead < 0x80) continue;
    size_t more = lead >= 0xf0 ? 3 : lead >= 0xe0 ? 2 : 1;
    if (lead < 0xc2 || lead > 0xf4 || more > length - i) return false;
    /* The second byte shows overlong forms, surrogates and code points above U+10FFFF. */
    uint8_t low = lead == 0xe0 ? 0xa0 : lead == 0xf0 ? 0x90 : 0x80;
    uint8_t high = lead == 0xed ? 0x9f : lead == 0xf4 ? 0x8f : 0xbf;
    if (bytes[i] < low || bytes[i] > high) return false;
    for (size_t k = 1; k < more; k++)
      if ((bytes[i + k] & 0xc0) != 0x80) return false;
    i += more;
  }
  return true;
}

bool padded_name(const uint8_t *field, size_t room, size_t *length) {
  const uint8_t *end = memchr(field, 0, room);
  *length = end ? (size_t)(end - field) : room;
  for (size_t i = *length; i < room; i++)
    if (field[i]) return false;
  return *length > 0 && is_utf8(field, *length);
}
