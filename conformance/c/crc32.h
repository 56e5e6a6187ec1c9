/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* CRC-32 as zlib computes it (QDB-GEN-007). */
#ifndef QDB_CRC32_H
#define QDB_CRC32_H

#include <stddef.h>
#include <stdint.h>

/* The CRC-32 of some bytes; `crc` is the CRC-32 of the bytes before them, 0 at the start. */
uint32_t crc32(uint32_t crc, const uint8_t *bytes, size_t length);

#endif
