/* SPDX-License-Identifier: CC0-1.0 OR MIT */
#include "errors.h"

bool fail(struct error *error, const char *code, const char *rule, const char *what, uint64_t offset) {
  if (!error->code) *error = (struct error){code, rule, what, offset};
  return false;
}
