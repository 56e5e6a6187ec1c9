# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Section 3, Extra data: rows of records, and the record types of version 1."""

from .model import Entry, Tlv
from .numbers import align8, be, i64, nonzero, u32, u64, utf8, uuid_text

DISK, STAMP, ID, PARENT, CREATED, COMMENT, SUCCESSOR, SESSION = 1, 2, 3, 4, 5, 6, 8, 9
KNOWN = (DISK, STAMP, ID, PARENT, CREATED, COMMENT, SUCCESSOR, SESSION)

PLACE = 3  # in QDB-ERR-017


def walk_records(entry: Entry) -> None:
    """Walks the extra data of an entry, record by record (QDB-ERR-018)."""
    extra = entry.extra
    base = entry.offset + 40  # QDB-TBL-011
    records: list[Tlv] = []
    padding: list[int] = []
    seen: set[int] = set()
    at = 0
    while at < len(extra):
        left = len(extra) - at
        if left < 8:
            entry.report(PLACE, "BAD_FIELD", "QDB-REC-001", "record", offset=base + at)
            return
        kind, length = u32(extra, at), u32(extra, at + 4)
        if kind == 0:
            entry.report(PLACE, "BAD_FIELD", "QDB-REC-002", "record", "type", offset=base + at)
            return
        # Compared before it is padded (QDB-GEN-009); the padding of the last record is included (QDB-REC-015).
        if length > left - 8 or align8(length) > left - 8:
            entry.report(PLACE, "BAD_FIELD", "QDB-REC-001", "record", "length", offset=base + at + 4)
            return
        if kind in seen:
            entry.report(PLACE, "DUPLICATE_TYPE", "QDB-REC-003", "record", "type", offset=base + at)
        seen.add(kind)
        end = at + 8 + length
        records.append(Tlv(kind, extra[at + 8 : end], base + at))
        at = align8(end)
        padding += nonzero(extra, end, at, base)
    entry.records, entry.records_padding = records, padding


def is_name(data: bytes) -> bool:
    """What a successor must be (QDB-REC-034)."""
    return 1 <= len(data) <= 1023 and utf8(data) is not None and 0 not in data


def is_session(data: bytes) -> bool:
    """A UUID, and a file id that is not 0."""
    if len(data) != 24:  # QDB-REC-038
        return False
    return u64(data, 16) != 0  # QDB-REC-037


def breaks_rule(record: Tlv) -> bool:
    """Whether a record of a known type breaks the rule of its type (QDB-REC-007)."""
    if record.type in (DISK, COMMENT):  # QDB-REC-020, QDB-REC-033
        return utf8(record.data) is None
    if record.type == STAMP:  # QDB-REC-022
        return len(record.data) != 24
    if record.type in (ID, PARENT):  # QDB-REC-030, QDB-REC-031
        return len(record.data) != 16
    if record.type == CREATED:  # QDB-REC-005
        return len(record.data) != 8
    if record.type == SUCCESSOR:
        return not is_name(record.data)
    if record.type == SESSION:
        return not is_session(record.data)
    return False


def record_form(record: Tlv) -> dict:
    """The JSON form of a record (QDB-JSN-015, QDB-JSN-016)."""
    form: dict = {"type": f"0x{record.type:08x}"}  # QDB-JSN-005
    data = record.data
    if record.type not in KNOWN or breaks_rule(record):
        form["data"] = data.hex()
    elif record.type == DISK:
        form["disk"] = utf8(data)
    elif record.type == STAMP:
        form["length"] = str(u64(data, 0))  # QDB-REC-010
        form["mtime"] = str(i64(data, 8))  # QDB-REC-011
        form["file"] = str(u64(data, 16))  # QDB-REC-012
    elif record.type == ID:
        form["id"] = uuid_text(data)
    elif record.type == PARENT:
        form["parent"] = uuid_text(data)
    elif record.type == CREATED:
        form["created"] = str(i64(data, 0))
    elif record.type == COMMENT:
        form["comment"] = utf8(data)
    elif record.type == SESSION:
        form |= {"session": uuid_text(data[:16]), "file": str(u64(data, 16))}  # QDB-REC-036, QDB-REC-037
    else:
        form["successor"] = utf8(data)
    return form


def row_bytes(row: list[Tlv]) -> bytes:
    """A row of records or extensions, each padded with zeros (QDB-GEN-011, QDB-REC-015, QDB-EXT-004)."""
    out = b""
    for item in row:
        out += be(item.type, 4) + be(len(item.data), 4) + item.data
        out += bytes(align8(len(out)) - len(out))
    return out
