# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Section 3: the rules of a bitmap's entry, each at its place in QDB-ERR-017. All are errors of that bitmap alone (QDB-OWN-002)."""

from collections import Counter

from .model import ENABLED, FROZEN, IN_USE, KNOWN_FLAGS, Entry, QdbFile
from .numbers import bits_of, l1_entries, utf8
from .records import SESSION, SUCCESSOR, breaks_rule, walk_records

# Places in QDB-ERR-017
NAME, DOUBLE, RECORDS, GRANULARITY, SIZE, FLAGS, RESERVED, BITS, L1_SIZE, L1_OFFSET, FREEZING, USE = range(1, 13)
L1_PLACE, L1_CHECKSUM, L1_ENTRIES, L1_HIT, CLUSTERS = range(13, 18)


def check_entries(file: QdbFile) -> None:
    names = Counter(entry.name for entry in file.entries)  # byte for byte, never normalised (QDB-TBL-021)
    for entry in file.entries:
        check_name(entry, names)
        check_extra(entry)
        check_shape(file, entry)
    for entry in file.entries:
        check_freezing(file, entry)
        if entry.flags & IN_USE:
            entry.report(USE, "INCONSISTENT", "QDB-FLG-002", "bitmap table entry", "flags", offset=entry.offset + 24)
        else:
            check_session(entry)


def check_session(entry: Entry) -> None:
    """A session without in_use; a broken one is unknown (QDB-REC-007)."""
    for record in entry.records or []:
        if record.type == SESSION and not breaks_rule(record):
            entry.report(USE, "BAD_FIELD", "QDB-FLG-021", "record", "type", offset=record.offset)


def check_name(entry: Entry, names: Counter) -> None:
    def report(place: int, code: str, requirement: str, name: str, at: int) -> None:
        entry.report(place, code, requirement, "bitmap table entry", name, offset=entry.offset + at)

    name_at = 40 + entry.extra_data_size
    if not 1 <= entry.name_size <= 1023:
        report(NAME, "BAD_FIELD", "QDB-TBL-006", "name_size", 26)
    if utf8(entry.name) is None:
        report(NAME, "BAD_FIELD", "QDB-TBL-018", "name", name_at)
    if 0 in entry.name:
        report(NAME, "BAD_FIELD", "QDB-TBL-019", "name", name_at)
    if names[entry.name] > 1:  # an error of each of them (QDB-OWN-003)
        report(DOUBLE, "DUPLICATE_NAME", "QDB-TBL-020", "name", name_at)


def check_extra(entry: Entry) -> None:
    if entry.extra_data_size > 4096:
        entry.report(RECORDS, "BAD_FIELD", "QDB-TBL-009", "bitmap table entry", "extra_data_size", offset=entry.offset + 36)
    walk_records(entry)


def check_shape(file: QdbFile, entry: Entry) -> None:
    full, cluster = file.header.full, file.header.cluster

    def report(place: int, code: str, requirement: str, name: str, at: int) -> None:
        entry.report(place, code, requirement, "bitmap table entry", name, offset=entry.offset + at)

    good = True
    granularity = entry.granularity
    if granularity & (granularity - 1) or not 512 <= granularity <= 1 << 31:
        report(GRANULARITY, "BAD_FIELD", "QDB-TBL-003", "granularity", 12)
        good = False
    if entry.size > (1 << 63) - 1:
        report(SIZE, "BAD_FIELD", "QDB-TBL-004", "size", 16)
        good = False
    if entry.flags & ~KNOWN_FLAGS:
        report(FLAGS, "UNSUPPORTED_FEATURE", "QDB-TBL-005", "flags", 24)
    if not full and entry.l1_checksum != 0:
        report(RESERVED, "RESERVED_NOT_ZERO", "QDB-TBL-017", "l1_checksum", 28)
    if entry.reserved != 0:
        report(RESERVED, "RESERVED_NOT_ZERO", "QDB-TBL-008" if full else "QDB-TBL-017", "reserved", 32)
    if good:
        bits = bits_of(entry.size, granularity)
        if bits > 1 << 32:
            report(BITS, "LIMIT", "QDB-TBL-015", "size", 16)
        else:
            entry.bits = bits
            if entry.l1_size != l1_entries(bits, cluster):
                report(L1_SIZE, "BAD_FIELD", "QDB-TBL-002", "l1_size", 8)
    if full and entry.l1_size == 0 and entry.l1_checksum != 0:
        report(L1_SIZE, "BAD_FIELD", "QDB-TBL-016", "l1_checksum", 28)
    if (entry.l1_table_offset == 0) != (entry.l1_size == 0):
        report(L1_OFFSET, "BAD_FIELD", "QDB-TBL-014", "l1_table_offset", 0)
    elif entry.l1_table_offset % cluster:
        report(L1_OFFSET, "MISALIGNED", "QDB-TBL-001", "l1_table_offset", 0)


def successor_of(entry: Entry):
    for record in entry.records or []:
        if record.type == SUCCESSOR:
            return record
    return None


def check_freezing(file: QdbFile, entry: Entry) -> None:
    """Frozen and successor: errors of the frozen bitmap (section 3, Flags)."""

    def report(requirement: str, structure: str, name: str, offset: int) -> None:
        entry.report(FREEZING, "BAD_FIELD", requirement, structure, name, offset=offset)

    flags_at = entry.offset + 24
    frozen = bool(entry.flags & FROZEN)
    if frozen and entry.flags & ENABLED:
        report("QDB-FLG-008", "bitmap table entry", "flags", flags_at)
    if entry.records is None:
        return  # there is no row of records in which a successor could be found
    record = successor_of(entry)
    if frozen and record is None:
        report("QDB-FLG-009", "bitmap table entry", "flags", flags_at)
    if record is None:
        return
    if breaks_rule(record):
        report("QDB-REC-009", "record", "data", record.offset)
    if not frozen:
        report("QDB-FLG-014", "record", "type", record.offset)
        return
    if breaks_rule(record):
        return
    named = [other for other in file.entries if other.name == record.data]
    if len(named) != 1:
        report("QDB-FLG-010", "record", "data", record.offset)
        return
    successor = named[0]
    if successor is entry:
        report("QDB-FLG-011", "record", "data", record.offset)
    elif successor.flags & FROZEN:
        report("QDB-FLG-012", "record", "data", record.offset)
    if successor.size != entry.size:
        report("QDB-FLG-013", "record", "data", record.offset)
