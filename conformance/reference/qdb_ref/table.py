# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Section 3: the walk through the bitmap table."""

from .model import TABLE_MAX, Entry, Problem, QdbFile
from .numbers import align8, crc, u16, u32, u64


def can_walk(file: QdbFile) -> bool:
    """Whether the fields that say where the table is are good; what keeps it from being walked was reported."""
    header = file.header
    broken = {p.field for p in file.problems if p.structure == "header"}
    if broken & {"cluster_bits", "nb_bitmaps", "bitmaps_offset"} or header.bitmaps_size > TABLE_MAX:
        return False
    return header.nb_bitmaps > 0


def walk_table(file: QdbFile) -> None:
    """
    Looks at the table as a whole (QDB-ERR-016) and cuts it into entries. What breaks the walk is an error of the file
    (QDB-OWN-001): where one entry ends and the next begins cannot be told then, and no entry is looked at.
    """
    entries = cut_table(file)
    if entries is not None:
        file.entries = entries
        file.table_walked = True


def cut_table(file: QdbFile) -> list[Entry] | None:
    header, data = file.header, file.data
    entries = []
    start = header.bitmaps_offset
    if header.full:
        end = start + header.bitmaps_size
        if crc(data[start:end]) != header.table_checksum:
            report(file, "BAD_CHECKSUM", "QDB-HDR-012", "table_checksum", file.header_offset + 64)
            return None
    else:
        end = len(data)
    at = start
    for index in range(header.nb_bitmaps):
        left = end - at
        if left < 40:
            report(file, "OUT_OF_BOUNDS", "QDB-TBL-010", "", at)
            return None
        extra_size, name_size = u32(data, at + 36), u16(data, at + 26)
        # Each length is compared with what is left before it is added to anything (QDB-GEN-009).
        if extra_size > left - 40 or name_size > left - 40 - extra_size:
            report(file, "OUT_OF_BOUNDS", "QDB-TBL-010", "extra_data_size", at + 36)
            return None
        length = align8(40 + extra_size + name_size)  # QDB-TBL-013
        if length > left:
            report(file, "OUT_OF_BOUNDS", "QDB-TBL-010", "", at)
            return None
        if not header.full and at + length - start > TABLE_MAX:
            report(file, "LIMIT", "QDB-HDR-041", "", at)
            return None
        entries.append(decode_entry(data, index, at, length))
        at += length
        file.table_end = at
    if header.full and at != end:
        report(file, "BAD_FIELD", "QDB-HDR-021", "bitmaps_size", file.header_offset + 28)
        return None
    return entries


def report(file: QdbFile, code: str, requirement: str, name: str, offset: int) -> None:
    file.problems.append(Problem(code, requirement, "bitmap table", name, offset))


def decode_entry(data: bytes, index: int, at: int, length: int) -> Entry:
    raw = data[at : at + length]
    extra_size, name_size = u32(raw, 36), u16(raw, 26)
    name_at = 40 + extra_size  # QDB-TBL-011, QDB-TBL-012, QDB-TBL-023
    return Entry(
        index=index,
        offset=at,
        length=length,
        l1_table_offset=u64(raw, 0),
        l1_size=u32(raw, 8),
        granularity=u32(raw, 12),
        size=u64(raw, 16),
        flags=u16(raw, 24),
        name_size=name_size,
        l1_checksum=u32(raw, 28),
        reserved=u32(raw, 32),
        extra_data_size=extra_size,
        extra=raw[40:name_at],
        name=raw[name_at : name_at + name_size],
        padding=raw[name_at + name_size :],
        raw=raw,
    )
