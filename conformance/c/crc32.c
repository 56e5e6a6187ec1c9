/* SPDX-License-Identifier: CC0-1.0 OR MIT */
#include "crc32.h"

#include "bytes.h"

/* Row n has the CRC of each byte followed by n zero bytes, so eight bytes are processed in one step. */
static uint32_t tables[8][256];

static void fill_tables(void) {
  for (uint32_t byte = 0; byte < 256; byte++) {
    uint32_t crc = byte;
    for (int bit = 0; bit < 8; bit++) crc = crc >> 1 ^ (crc & 1 ? 0xedb88320u : 0);
    tables[0][byte] = crc;
  }
  for (int row = 1; row < 8; row++)
    for (uint32_t byte = 0; byte < 256; byte++) {
      uint32_t before = tables[row - 1][byte];
      tables[row][byte] = before >> 8 ^ tables[0][before & 255];
    }
}

uint32_t crc32(uint32_t crc, const uint8_t *bytes, size_t length) {
  if (!tables[0][1]) fill_tables();
  crc = ~crc;
  for (; length >= 8; length -= 8, bytes += 8) {
    uint64_t word = bits64(bytes) ^ crc;
    crc = 0;
    for (int i = 0; i < 8; i++) crc ^= tables[7 - i][word >> (8 * i) & 255];
  }
  while (length--) crc = crc >> 8 ^ tables[0][(crc ^ *bytes++) & 255];
  return ~crc;
}
