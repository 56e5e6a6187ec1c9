/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* The first error that was found. */
#ifndef QDB_ERRORS_H
#define QDB_ERRORS_H

#include <stdbool.h>
#include <stdint.h>

#define NOWHERE UINT64_MAX /* the offset of an error that is at no place in the file */

/* A code of section 7.1, the rule that is broken, the structure and field, and the offset in the file. */
struct error {
  const char *code, *rule, *what;
  uint64_t offset;
};

/* Records an error unless there is one already: the first in the order of section 7.2 counts. Always returns false. */
bool fail(struct error *error, const char *code, const char *rule, const char *what, uint64_t offset);

#endif
