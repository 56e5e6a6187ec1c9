# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Arithmetic of section 1."""

import zlib


def u16(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 2], "big")  # QDB-GEN-001


def u32(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 4], "big")  # QDB-GEN-001


def u64(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "big")  # QDB-GEN-001


def i64(data: bytes, at: int) -> int:
    return int.from_bytes(data[at : at + 8], "big", signed=True)  # QDB-GEN-001


def be(value: int, length: int) -> bytes:
    return value.to_bytes(length, "big")  # QDB-GEN-001


def align8(x: int) -> int:
    return (x + 7) // 8 * 8


def ceil_div(a: int, b: int) -> int:
    return -(-a // b)


def align(x: int, unit: int) -> int:
    return ceil_div(x, unit) * unit


def crc(data: bytes) -> int:
    return zlib.crc32(data)  # QDB-GEN-007


def bits_of(size: int, granularity: int) -> int:
    return ceil_div(size, granularity)  # QDB-GEN-004; integers here hold any number (QDB-GEN-005)


def l1_entries(bits: int, cluster: int) -> int:
    return ceil_div(ceil_div(bits, 8), cluster)  # QDB-TBL-002


def l1_length(l1_size: int, full: bool) -> int:
    """Length of an L1 area: QDB-MAP-004 in full form, QDB-MAP-005 in draft form."""
    return align8(12 * l1_size) if full else 8 * l1_size


def inside(offset: int, length: int, file_size: int) -> bool:
    """Whether a reference lies inside the file with all its bytes (QDB-GEN-008, QDB-OWN-011)."""
    return offset <= 1 << 53 and offset + length <= 1 << 53 and offset + length <= file_size


def utf8(data: bytes) -> str | None:
    try:
        return data.decode("utf-8")
    except UnicodeDecodeError:
        return None


def uuid_text(data: bytes) -> str:
    h = data.hex()  # QDB-GEN-006
    return "-".join((h[:8], h[8:12], h[12:16], h[16:20], h[20:]))  # QDB-JSN-007


def nonzero(data: bytes, start: int, end: int, base: int = 0) -> list[int]:
    """The first place in [start, end) that is not zero, as a file offset."""
    for at in range(start, end):
        if data[at]:
            return [base + at]
    return []
