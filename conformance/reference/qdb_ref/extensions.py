# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Section 2.5: header extensions and the two name tables."""

from .model import EXTENSION_NAMES, FEATURE_NAMES, Problem, QdbFile, Tlv
from .numbers import align8, nonzero, u32, utf8

KINDS = ("incompatible", "compatible", "autoclear")


def check_extensions(file: QdbFile) -> None:
    """Walks the extensions; needs a good cluster_bits and header_length."""
    header, area, base = file.header, file.area, file.header_offset
    end = header.space  # QDB-EXT-002, QDB-EXT-007
    at = align8(header.header_length)  # QDB-EXT-003

    def report(code: str, requirement: str, name: str, place: int) -> None:
        file.problems.append(Problem(code, requirement, "extension", name, base + place))

    seen: set[int] = set()
    count = 0
    while at < end:
        kind, length = u32(area, at), u32(area, at + 4)
        if kind == 0:  # QDB-EXT-001; the length decides nothing (QDB-EXT-006)
            file.header_padding += nonzero(area, at + 4, at + 8, base)  # QDB-EXT-005
            at += 8
            break
        if length > end - at - 8:  # compared before it is padded (QDB-GEN-009)
            report("BAD_FIELD", "QDB-EXT-002", "length", at + 4)
            return
        count += 1
        if count == 65:
            report("LIMIT", "QDB-EXT-008", "", at)
        if kind in seen:
            report("DUPLICATE_TYPE", "QDB-EXT-009", "type", at)
        seen.add(kind)
        data_end = at + 8 + length
        file.extensions.append(Tlv(kind, area[at + 8 : data_end], base + at))
        at = align8(data_end)  # QDB-EXT-004
        file.header_padding += nonzero(area, data_end, at, base)
    # What is left of the header area, in draft form of the space of QDB-HDR-031, is padding (section 1).
    file.header_padding += nonzero(area, at, 4096 if header.full else end, base)


def padded_name(data: bytes) -> str | None:
    """At least one byte of UTF-8 without a zero byte, then zeros to the end (QDB-EXT-012, QDB-EXT-021)."""
    name = data.rstrip(b"\0")
    if not name or b"\0" in name:
        return None
    return utf8(name)


def feature_names(data: bytes) -> list[tuple[int, int, str]] | None:
    """Entries of a feature name table; None when it breaks a rule and is shown as unknown bytes (QDB-EXT-018)."""
    if len(data) % 48:  # QDB-EXT-016
        return None
    entries = []
    for at in range(0, len(data), 48):
        kind, bit, name = data[at], data[at + 1], padded_name(data[at + 2 : at + 48])
        if kind > 2 or bit > 63 or name is None:  # QDB-EXT-010, QDB-EXT-011, QDB-EXT-012
            return None
        entries.append((kind, bit, name))
    return entries


def extension_names(data: bytes) -> list[tuple[int, str]] | None:
    """Entries of an extension name table; None when it is shown as unknown bytes (QDB-EXT-023)."""
    if len(data) % 48:  # QDB-EXT-022
        return None
    entries = []
    for at in range(0, len(data), 48):
        name = padded_name(data[at + 4 : at + 48])
        if name is None:  # QDB-EXT-021
            return None
        entries.append((u32(data, at), name))
    return entries


def breaks_rules(extension: Tlv) -> bool:
    """Whether a name table is shown as unknown bytes (QDB-EXT-019)."""
    if extension.type == FEATURE_NAMES:
        return feature_names(extension.data) is None
    if extension.type == EXTENSION_NAMES:
        return extension_names(extension.data) is None
    return False
