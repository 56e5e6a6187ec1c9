# SPDX-License-Identifier: CC0-1.0 OR MIT
"""A file read whole: everything that it says, and every error of it."""

from .bits import Runs, runs_of_bytes
from .entries import check_entries
from .extensions import check_extensions
from .header import check_header
from .l1 import ONES, check_l1, named_cluster, reads_cluster
from .model import Entry, QdbFile, Reject
from .opening import open_file
from .table import can_walk, walk_table


def examine(data: bytes) -> QdbFile:
    """Looks at all that can be reached, in the order of section 7.2; ends only with what ends a check too."""
    file = open_file(data)
    check_header(file)
    if not any(p.field in ("cluster_bits", "header_length") for p in file.problems):
        check_extensions(file)
    if can_walk(file):
        walk_table(file)
        check_entries(file)
        check_l1(file)
    elif file.header.nb_bitmaps == 0 and file.header.bitmaps_offset == 0:
        file.table_walked = True  # there is none
    return file


def read_file(data: bytes) -> QdbFile:
    """The file, or its first error (QDB-ERR-010); errors of bitmaps are with them."""
    file = examine(data)
    if file.problems:
        raise Reject(file.problems[0])
    return file


def bits_of_bitmap(file: QdbFile, entry: Entry) -> Runs:
    """The dirty bits of a bitmap without error, as runs."""
    assert entry.bits is not None
    per_cluster = 8 * file.header.cluster
    runs: Runs = []
    for number, descriptor in enumerate(entry.descriptors):  # QDB-MAP-001
        base = number * per_cluster
        if reads_cluster(descriptor):
            offset = named_cluster(descriptor)
            found = runs_of_bytes(file.data[offset : offset + file.header.cluster])
        elif descriptor & ONES:
            found = [(0, per_cluster)]  # QDB-MAP-016
        else:
            found = []  # QDB-MAP-010, QDB-MAP-015
        for first, end in found:
            end = min(base + end, entry.bits)  # QDB-MAP-019
            if base + first < end:
                add_run(runs, base + first, end)
    return runs


def add_run(runs: Runs, first: int, end: int) -> None:
    if runs and runs[-1][1] == first:
        runs[-1] = (runs[-1][0], end)
    else:
        runs.append((first, end))
