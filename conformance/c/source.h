/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* A file that is read by position. */
#ifndef QDB_SOURCE_H
#define QDB_SOURCE_H

#include <stdbool.h>
#include <stdint.h>

#include "errors.h"

enum { AREA = 4096 }; /* bytes of a header area */

/* An open file, and what reading it has cost: bytes, and rounds of reads that depend on each other. */
struct source {
  int fd;
  bool fresh_round;
  bool failed; /* a read failed since this was cleared */
  uint64_t size, bytes, rounds;
};

/* Opens a file for reading; false with the error set if that fails. */
bool source_open(struct source *source, const char *path, struct error *error);

/* Takes the current length of the file; false if the system does not tell it. */
bool source_measure(struct source *source);

/* Begins a round: the reads up to the next call do not depend on each other. */
void source_round(struct source *source);

/* Reads as much of [offset, offset + length) as can be read, from its start; returns the number of bytes. */
uint64_t source_some(struct source *source, uint64_t offset, uint8_t *bytes, uint64_t length);

/* Reads the primary header area and returns how many of its bytes were read; the rest is set to zero. */
uint32_t source_primary(struct source *source, uint8_t primary[AREA]);

/* Reads all of a range; otherwise false with the error IO, or SHORT_READ at the end of the file. */
bool source_all(struct source *source, uint64_t offset, uint8_t *bytes, uint64_t length, struct error *error);

#endif
