/* SPDX-License-Identifier: CC0-1.0 OR MIT */
/* Names of unknown incompatible features (QDB-HDR-022). */
#ifndef QDB_FEATURE_NAMES_H
#define QDB_FEATURE_NAMES_H

#include "qdb.h"

/* The unknown incompatible bits, by number and name. The text is valid until the next call. */
const char *unknown_features(const struct header *header);

#endif
