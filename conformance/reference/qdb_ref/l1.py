# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Section 4: L1 areas, their entries, who owns which cluster, and data clusters."""

from .entries import CLUSTERS, L1_CHECKSUM, L1_ENTRIES, L1_HIT, L1_PLACE
from .model import INCOMPATIBLE_ALL_ONES, Entry, QdbFile
from .numbers import crc, inside, l1_length, u32, u64

ZEROS = 1 << 0
ONES = 1 << 1
OFFSET = ((1 << 56) - 1) & ~((1 << 9) - 1)  # bits 9-55
RESERVED = ((1 << 64) - 1) & ~(OFFSET | ZEROS | ONES)


def reads_cluster(descriptor: int) -> bool:
    return not descriptor & (ZEROS | ONES) and descriptor & OFFSET != 0


def named_cluster(descriptor: int) -> int:
    """File offset of the cluster that an entry names, 0 when it names none."""
    return descriptor & OFFSET


def has_place(file: QdbFile, entry: Entry) -> bool:
    """Whether the L1 area is a reference that can be followed (QDB-ERR-012, QDB-ERR-021)."""
    broken = {p.field for _, p in entry.problems if p.structure == "bitmap table entry"}
    if broken & {"granularity", "size", "l1_size", "l1_table_offset"} or entry.bits is None:
        return False
    return entry.l1_size > 0


def read_l1(file: QdbFile, entry: Entry) -> None:
    """Finds the L1 area and looks at its checksum; overlaps come later."""
    if not has_place(file, entry):
        entry.l1_good = entry.bits == 0 and entry.l1_size == 0 and entry.l1_table_offset == 0
        return
    full = file.header.full
    start, length = entry.l1_table_offset, l1_length(entry.l1_size, full)
    if not inside(start, length, len(file.data)):
        report_field(entry, L1_PLACE, "OUT_OF_BOUNDS", "QDB-OWN-011", "l1_table_offset", 0)  # QDB-OWN-012
        entry.l1_good = False
        return
    entry.l1_area = file.data[start : start + length]
    if full and crc(entry.l1_area) != entry.l1_checksum:
        report_field(entry, L1_CHECKSUM, "BAD_CHECKSUM", "QDB-TBL-007", "l1_checksum", 28)
        entry.l1_good = False
        return
    entry.descriptors = [u64(entry.l1_area, 8 * i) for i in range(entry.l1_size)]
    checksums_at = 8 * entry.l1_size  # QDB-MAP-004
    if full:
        entry.cluster_checksums = [u32(entry.l1_area, checksums_at + 4 * i) for i in range(entry.l1_size)]


def report_field(entry: Entry, place: int, code: str, requirement: str, name: str, at: int) -> None:
    entry.report(place, code, requirement, "bitmap table entry", name, offset=entry.offset + at)


def owners_of(file: QdbFile) -> dict[int, list[tuple]]:
    """Who owns each cluster: header, mirror, table, L1 areas, data clusters (QDB-OWN-013); nothing else does (QDB-OWN-015)."""
    header, cluster = file.header, file.header.cluster
    owners: dict[int, list[tuple]] = {}

    def own(start: int, length: int, who: tuple) -> None:
        if length:
            for number in range(start // cluster, (start + length - 1) // cluster + 1):
                owners.setdefault(number, []).append(who)

    if header.full:
        own(0, header.h, ("header",))  # QDB-HDR-036
        own(header.h, header.h, ("mirror",))
    else:
        own(0, cluster, ("header",))
    if file.entries:
        end = header.bitmaps_offset + header.bitmaps_size if header.full else file.table_end
        own(header.bitmaps_offset, end - header.bitmaps_offset, ("table",))
    for entry in file.entries:
        if entry.l1_area is not None:
            own(entry.l1_table_offset, len(entry.l1_area), ("l1", entry.index))
    shared = {number for number, held in owners.items() if len(held) > 1}
    for entry in file.entries:
        if entry.l1_area:
            first = entry.l1_table_offset // cluster
            last = (entry.l1_table_offset + len(entry.l1_area) - 1) // cluster
            # What stands in an L1 area that is not its bitmap's alone owns nothing (QDB-ERR-021).
            if not shared.isdisjoint(range(first, last + 1)):
                continue
        for number, descriptor in enumerate(entry.descriptors):
            offset = named_cluster(descriptor)
            # A reference that is misaligned or out of bounds is no owner (QDB-ERR-021).
            if offset and offset % cluster == 0 and inside(offset, cluster, len(file.data)):
                own(offset, cluster, ("data", entry.index, number))
    return owners


def named_clusters(file: QdbFile) -> set[int]:
    """Clusters that a reference names, whether the file reaches so far or not (section 5, Files in error)."""
    header, cluster = file.header, file.header.cluster
    named: set[int] = set()

    def name(start: int, length: int) -> None:
        named.update(range(start // cluster, (start + length - 1) // cluster + 1))

    for entry in file.entries:
        broken = {p.field for _, p in entry.problems if p.structure == "bitmap table entry" and p.code != "MISALIGNED"}
        length = l1_length(entry.l1_size, header.full)
        start, there = entry.l1_table_offset, entry.descriptors
        if not broken & {"granularity", "size", "l1_size"} and entry.bits is not None and length and start < 1 << 53:
            name(start, length)
            if start < len(file.data) < start + length:  # as far as the file holds it
                held = file.data[start:] + bytes(8)
                there = [u64(held, 8 * i) for i in range(len(held) // 8)]
        for descriptor in there:
            if named_cluster(descriptor) and named_cluster(descriptor) < 1 << 53:
                name(named_cluster(descriptor), cluster)
    return named


def read_good(entry: Entry) -> bool:
    """Whether L1 area and entries are in no error and share no cluster with another structure (section 5, Files in error)."""
    return bool(entry.l1_good) and not any(problem.code == "OVERLAP" for _, problem in entry.problems)


def check_l1(file: QdbFile) -> None:
    """All that stands behind the table, after all L1 areas were read (QDB-OWN-005), shared ones too (QDB-ERR-026 is a MAY)."""
    for entry in file.entries:
        read_l1(file, entry)
    owners = owners_of(file)
    for entry in file.entries:
        check_place(file, entry, owners)
        for number in range(len(entry.descriptors)):
            check_descriptor(file, entry, number, owners)
        if not any(place in (L1_PLACE, L1_CHECKSUM, L1_ENTRIES, L1_HIT) for place, _ in entry.problems):
            check_clusters(file, entry)  # QDB-ERR-020


def check_place(file: QdbFile, entry: Entry, owners: dict[int, list[tuple]]) -> None:
    if entry.l1_area is None:
        return
    cluster = file.header.cluster
    first = entry.l1_table_offset // cluster
    last = (entry.l1_table_offset + len(entry.l1_area) - 1) // cluster
    hit = {who for number in range(first, last + 1) for who in owners[number]}
    hit.discard(("l1", entry.index))
    # An overlap with header, mirror, table or another L1 area counts here (QDB-ERR-022), ...
    if any(who[0] in ("header", "mirror") for who in hit):
        report_field(entry, L1_PLACE, "OVERLAP", "QDB-HDR-036", "l1_table_offset", 0)
    elif any(who[0] in ("table", "l1") for who in hit):
        report_field(entry, L1_PLACE, "OVERLAP", "QDB-OWN-013", "l1_table_offset", 0)
    if any(who[0] != "data" for who in hit):
        entry.l1_good = False
    # ... one with a data cluster after the L1 entries (QDB-ERR-023).
    if any(who[0] == "data" for who in hit):
        report_field(entry, L1_HIT, "OVERLAP", "QDB-OWN-013", "l1_table_offset", 0)


def check_descriptor(file: QdbFile, entry: Entry, number: int, owners: dict[int, list[tuple]]) -> None:
    """One L1 entry, in the order of QDB-ERR-019."""
    descriptor = entry.descriptors[number]
    cluster = file.header.cluster
    base = entry.l1_table_offset

    def report(code: str, requirement: str, structure: str = "L1 entry", name: str = "descriptor", at: int | None = None) -> None:
        entry.l1_good = False
        offset = base + 8 * number if at is None else at
        entry.report(L1_ENTRIES, code, requirement, structure, name, offset=offset)

    if descriptor & RESERVED:
        report("RESERVED_NOT_ZERO", "QDB-MAP-012")
    ones_known = bool(file.header.incompatible_features & INCOMPATIBLE_ALL_ONES)  # draft form has no such bits: 0
    if descriptor & ONES and not ones_known:
        report("RESERVED_NOT_ZERO", "QDB-MAP-011")
    if descriptor & ONES and ones_known and descriptor & (ZEROS | OFFSET):
        report("BAD_FIELD", "QDB-MAP-014")
    if file.header.full and not reads_cluster(descriptor) and entry.cluster_checksums[number] != 0:
        report("BAD_FIELD", "QDB-MAP-003", "L1 checksum", "cluster_checksum", base + 8 * entry.l1_size + 4 * number)
    offset = named_cluster(descriptor)
    if offset == 0:
        return
    if offset % cluster:
        report("MISALIGNED", "QDB-MAP-013")
    if not inside(offset, cluster, len(file.data)):
        report("OUT_OF_BOUNDS", "QDB-OWN-010")
    elif offset % cluster == 0 and len(owners.get(offset // cluster, ())) > 1:  # nobody's, where QDB-ERR-021 holds
        report("OVERLAP", "QDB-OWN-013")


def check_clusters(file: QdbFile, entry: Entry) -> None:
    """The checksums of the data clusters that are read (QDB-MAP-018: before anything is masked)."""
    if not file.header.full:
        return
    cluster = file.header.cluster
    for number, descriptor in enumerate(entry.descriptors):
        if not reads_cluster(descriptor):
            continue
        offset = named_cluster(descriptor)
        if crc(file.data[offset : offset + cluster]) != entry.cluster_checksums[number]:
            entry.bad_clusters.add(number)
            entry.report(CLUSTERS, "BAD_CHECKSUM", "QDB-MAP-002", "data cluster", offset=offset)
