/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* A file that is read by position. */
#ifndef QDB_SOURCE_H
#define QDB_SOURCE_H

#include "qdb.h"

/* Opens a file for reading; false with the error set where that cannot be done. */
bool source_open(struct source *source, const char *path, struct error *error);

/* Takes the length that the file has now; false where the system does not say. */
bool source_measure(struct source *source);

/* Begins a round: the reads up to the next call could all be started together. */
void source_round(struct source *source);

/* Reads what can be read of [offset, offset + length), from its start, and gives how many bytes that were. */
uint64_t source_some(struct source *source, uint64_t offset, uint8_t *bytes, uint64_t length);

/* Reads the primary and gives how many of its bytes could be read; those behind them are made zero. */
uint32_t source_primary(struct source *source, uint8_t primary[AREA]);

/* Reads all of it; else the error is IO or SHORT_READ, as the file's end or the system has it. */
bool source_all(struct source *source, uint64_t offset, uint8_t *bytes, uint64_t length, struct error *error);

#endif
