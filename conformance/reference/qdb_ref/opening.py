# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Section 2.4: which bytes are the header."""

from .model import AREA, DRAFT_HEADER, MAGIC, TABLE_MAX, Header, QdbFile, reject
from .numbers import crc, inside, u32, u64


def magic_good(data: bytes, at: int) -> bool:
    return data[at : at + 4] == MAGIC  # QDB-HDR-001


def checksum_good(data: bytes, at: int) -> bool:
    """Whether header_checksum is right for the 4096 bytes at a place; missing bytes are wrong bytes (QDB-OPN-020)."""
    area = data[at : at + AREA]
    if len(area) < AREA:
        return False
    return u32(area, 68) == crc(area[:68] + bytes(4) + area[72:])  # QDB-HDR-013


def decode_full(area: bytes) -> Header:
    return Header(
        form="full",
        version=u32(area, 4),
        cluster_bits=u32(area, 8),
        nb_bitmaps=u32(area, 12),
        bitmaps_offset=u64(area, 16),
        header_length=u32(area, 24),
        bitmaps_size=u32(area, 28),
        incompatible_features=u64(area, 32),
        compatible_features=u64(area, 40),
        autoclear_features=u64(area, 48),
        generation=u64(area, 56),
        table_checksum=u32(area, 64),
        header_checksum=u32(area, 68),
        writer_id=area[72:88],
        file_id=area[88:104],
    )


def decode_draft(data: bytes) -> Header:
    return Header("draft", u32(data, 4), u32(data, 8), u32(data, 12), u64(data, 16), u32(data, 24))


def is_draft(data: bytes) -> bool:
    return (
        len(data) >= 32  # QDB-OPN-020: bytes 28-31 that are not there are not zero
        and magic_good(data, 0)
        and u32(data, 4) == 1
        and u32(data, 24) == DRAFT_HEADER
        and u32(data, 28) == 0  # QDB-HDR-040
    )


def is_candidate(data: bytes, at: int) -> bool:
    """QDB-OPN-006."""
    if not (magic_good(data, at) and checksum_good(data, at)):
        return False
    header = decode_full(data[at : at + AREA])
    return header.version == 1 and header.header_length >= 104 and 9 <= header.cluster_bits <= 21 and header.h == at


def table_checksum_good(data: bytes, header: Header) -> bool:
    """Of a candidate (section 2.4, last paragraph)."""
    start, length = header.bitmaps_offset, header.bitmaps_size
    if length > TABLE_MAX or not inside(start, length, len(data)):
        return False
    return crc(data[start : start + length]) == header.table_checksum


def open_file(data: bytes) -> QdbFile:
    """Chooses the header; its fields are looked at later (QDB-OPN-004). The errors here come first (QDB-ERR-011)."""
    if is_draft(data):  # QDB-OPN-002
        header = decode_draft(data)
        if header.cluster_bits <= 21 and len(data) < header.cluster:
            reject("TRUNCATED", "QDB-HDR-043", "header", offset=len(data))
        return QdbFile(data, header, 0, data[:AREA])
    if magic_good(data, 0) and checksum_good(data, 0):  # QDB-OPN-003
        return QdbFile(data, decode_full(data[:AREA]), 0, data[:AREA])
    candidates = [1 << n for n in range(12, 22) if is_candidate(data, 1 << n)]  # QDB-OPN-005
    if len(candidates) == 1:
        at = candidates[0]
        area = data[at : at + AREA]
        header = decode_full(area)
        if not table_checksum_good(data, header):
            reject("BAD_CHECKSUM", "QDB-OPN-008", "bitmap table", offset=header.bitmaps_offset)
        return QdbFile(data, header, at, area)  # QDB-OPN-007
    if len(candidates) > 1:
        reject("BAD_CHECKSUM", "QDB-OPN-013", "header", "header_checksum", offset=68)
    if not magic_good(data, 0):
        reject("BAD_MAGIC", "QDB-OPN-009", "header", "magic", offset=0)
    if len(data) < AREA:
        reject("TRUNCATED", "QDB-OPN-010", "header", offset=len(data))  # QDB-HDR-030
    if u32(data, 4) != 1:
        reject("UNSUPPORTED_VERSION", "QDB-OPN-011", "header", "version", offset=4)
    reject("BAD_CHECKSUM", "QDB-OPN-012", "header", "header_checksum", offset=68)
