/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Integers and text in bytes. */
#ifndef QDB_BYTES_H
#define QDB_BYTES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/* Big-endian integers (QDB-GEN-001). */
uint16_t be16(const uint8_t *bytes);
uint32_t be32(const uint8_t *bytes);
uint64_t be64(const uint8_t *bytes);

/* Eight bytes of bitmap data as 64 bits, the first bit lowest (QDB-GEN-003). */
uint64_t bits64(const uint8_t *bytes);

/* A number rounded up to a multiple of 8; it must be below 2^64 - 8. */
uint64_t align8(uint64_t number);

/* The quotient rounded up, in arithmetic that cannot overflow (QDB-GEN-004). */
uint64_t ceil_div(uint64_t number, uint64_t divisor);

/* Whether [offset, offset + length) lies inside a file; false above 2^53 (QDB-GEN-008). */
bool inside(uint64_t offset, uint64_t length, uint64_t file_size);

/* Whether bytes are well-formed UTF-8: no surrogates, no overlong forms, nothing above U+10FFFF. */
bool is_utf8(const uint8_t *bytes, size_t length);

/* Whether a field of a name table holds 1 to `room` bytes of UTF-8, then zeros; gives the length of the text. */
bool padded_name(const uint8_t *field, size_t room, size_t *length);

#endif
