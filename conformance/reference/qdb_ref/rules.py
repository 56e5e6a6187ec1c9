# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Whether contents can be a file at all: the first rule of sections 2 to 4 that their canonical file would break."""

from .canonical import Contents, canonical, entry_length, feature_name_table
from .model import FEATURE_NAMES, TABLE_MAX, Problem
from .numbers import align8
from .reading import examine
from .records import row_bytes


def first_broken(contents: Contents) -> Problem | None:
    return too_much(contents) or shape_of(contents) or in_bytes(contents)


def too_much(contents: Contents) -> Problem | None:
    """What no file can hold, so that there are no bytes that a reader could refuse."""
    if not 9 <= contents.cluster_bits <= 21:
        return Problem("BAD_FIELD", "QDB-HDR-003", "header", "cluster_bits")
    if len(contents.bitmaps) > 65535:
        return Problem("LIMIT", "QDB-HDR-004", "header", "nb_bitmaps")
    given = [extension for extension in contents.extensions if extension.type != FEATURE_NAMES]
    names = feature_name_table(contents.incompatible_features) if contents.full else []
    start = 104 if contents.full else align8(28)
    if start + len(row_bytes(names + given)) > min(contents.cluster, 4096):
        return Problem("BAD_FIELD", "QDB-HDR-031", "extension")
    if sum(entry_length(bitmap) for bitmap in contents.bitmaps) > TABLE_MAX:
        return Problem("LIMIT", "QDB-HDR-007" if contents.full else "QDB-HDR-041", "bitmap table")
    return None


def shape_of(contents: Contents) -> Problem | None:
    for bitmap in contents.bitmaps:
        label = bitmap.name.decode("utf-8", "replace")
        granularity = bitmap.granularity
        if granularity & (granularity - 1) or not 512 <= granularity <= 1 << 31:
            return Problem("BAD_FIELD", "QDB-TBL-003", "bitmap table entry", "granularity", bitmap=label)
        if bitmap.size > (1 << 63) - 1:
            return Problem("BAD_FIELD", "QDB-TBL-004", "bitmap table entry", "size", bitmap=label)
        if bitmap.bits > 1 << 32:
            return Problem("LIMIT", "QDB-TBL-015", "bitmap table entry", "size", bitmap=label)
        if not 1 <= len(bitmap.name) <= 1023:
            return Problem("BAD_FIELD", "QDB-TBL-006", "bitmap table entry", "name_size", bitmap=label)
    return None


def in_bytes(contents: Contents) -> Problem | None:
    """Writes the file and reads it again; in_use is no broken rule."""
    file = examine(canonical(contents))
    if file.problems:
        return file.problems[0]
    for entry in file.entries:
        for problem in entry.ordered():
            if problem.code != "INCONSISTENT":
                return problem
    return None
