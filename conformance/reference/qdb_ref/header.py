# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Section 2.1: the rules of the header's fields, in the order of QDB-ERR-010."""

from .model import DRAFT_HEADER, FULL_HEADER, KNOWN_INCOMPATIBLE, TABLE_MAX, Problem, QdbFile, reject
from .numbers import inside


def check_header(file: QdbFile) -> None:
    """Looks at version and incompatible bits, which end everything, and at the other fields by their offset."""
    header = file.header
    base = file.header_offset

    def report(code: str, requirement: str, name: str, at: int) -> None:
        file.problems.append(Problem(code, requirement, "header", name, base + at))

    if header.version != 1:
        reject("UNSUPPORTED_VERSION", "QDB-HDR-002", "header", "version", offset=base + 4)
    if header.incompatible_features & ~KNOWN_INCOMPATIBLE:
        reject("UNSUPPORTED_FEATURE", "QDB-HDR-008", "header", "incompatible_features", offset=base + 32)

    known_cluster = 9 <= header.cluster_bits <= 21
    if not known_cluster:
        report("BAD_FIELD", "QDB-HDR-003", "cluster_bits", 8)
    if header.nb_bitmaps > 65535:
        report("LIMIT", "QDB-HDR-004", "nb_bitmaps", 12)
    check_bitmaps_offset(file, report, known_cluster)
    if header.full:
        most = header.space if known_cluster else 4096
        length = header.header_length
        if length % 8 or not FULL_HEADER <= length <= most:
            report("BAD_FIELD", "QDB-HDR-006", "header_length", 24)
        if header.bitmaps_size > TABLE_MAX:  # the order of the two is QDB-ERR-014
            report("LIMIT", "QDB-HDR-007", "bitmaps_size", 28)
        if header.nb_bitmaps == 0 and header.bitmaps_size != 0:
            report("BAD_FIELD", "QDB-HDR-019", "bitmaps_size", 28)
        if header.generation == 0:
            report("BAD_FIELD", "QDB-HDR-011", "generation", 56)
        if header.nb_bitmaps == 0 and header.table_checksum != 0:
            report("BAD_FIELD", "QDB-HDR-020", "table_checksum", 64)
    else:
        assert header.header_length == DRAFT_HEADER  # QDB-OPN-002


def check_bitmaps_offset(file: QdbFile, report, known_cluster: bool) -> None:
    """The place of the table, as a reference (QDB-ERR-012, QDB-ERR-013)."""
    header = file.header
    offset = header.bitmaps_offset
    if (offset == 0) != (header.nb_bitmaps == 0):
        report("BAD_FIELD", "QDB-HDR-018", "bitmaps_offset", 16)
        return
    if offset == 0:
        return
    if known_cluster and offset % header.cluster:
        report("MISALIGNED", "QDB-HDR-005", "bitmaps_offset", 16)
        return
    length = header.bitmaps_size if header.full else 1  # QDB-ERR-013
    if not inside(offset, length, len(file.data)):
        report("OUT_OF_BOUNDS", "QDB-OWN-011", "bitmaps_offset", 16)  # QDB-GEN-008
        return
    if known_cluster and offset < header.first_free:
        report("OVERLAP", "QDB-HDR-036", "bitmaps_offset", 16)
