/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Answers a request about a file. */
#ifndef QDB_READ_H
#define QDB_READ_H

#include "errors.h"
#include "out.h"

enum request { READ_ALL, READ_LIST, READ_ONE };

/*
 * Reads a file and writes members of the answer: `model`, or `names`; for a list and for one bitmap `io` too. `name` is
 * that of the one bitmap, or `hex:` and its bytes in hex digits. False with the error set, and nothing written.
 */
bool answer_read(const char *path, enum request request, const char *name, struct out *out, struct error *error);

#endif
