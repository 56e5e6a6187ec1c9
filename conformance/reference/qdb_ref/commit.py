# SPDX-License-Identifier: CC0-1.0 OR MIT
"""
Section 5, over a buffer of bytes that keeps a log of what was done to it.

I1: the primary is only overwritten with bytes that the mirror holds and an fsync has covered since.

I2: the mirror is only overwritten while the primary is known to be on the disk, and with a higher generation than the
primary's (creation excepted; repair too is a commit).
"""

import os
from dataclasses import dataclass, field

from .bits import whole
from .canonical import entry_bytes, l1_area, lay_clusters
from .check import can_be_mended
from .l1 import named_clusters, named_cluster, owners_of, read_good, reads_cluster
from .model import AREA, INCOMPATIBLE_ALL_ONES, QdbFile, Reject, reject
from .numbers import align, be, crc, l1_entries, l1_length
from .opening import magic_good
from .reading import examine
from .state import Item, State, state_of


class Disk:
    """A file as bytes, with the log of writes, fsyncs and cuts: its prefixes are what a crash can leave."""

    def __init__(self, data: bytes):
        self.data = bytearray(data)
        self.log: list[tuple] = []

    def read(self, offset: int, length: int) -> bytes:
        return bytes(self.data[offset : offset + length])

    def write(self, offset: int, data: bytes) -> None:
        self.log.append(("write", offset, bytes(data)))
        if len(self.data) < offset + len(data):
            self.data.extend(bytes(offset + len(data) - len(self.data)))
        self.data[offset : offset + len(data)] = data

    def fsync(self) -> None:
        self.log.append(("fsync",))

    def cut(self, length: int) -> None:
        self.log.append(("cut", length))
        del self.data[length:]


class Handle:
    """A full file open for writing, its lock being held (QDB-CMT-010)."""

    def __init__(self, disk: Disk, repair: bool = False, writer_id: bytes | None = None):
        self.disk = disk
        self.writer_id = writer_id or os.urandom(16)  # QDB-HDR-014
        self.fenced = False
        data = bytes(disk.data)
        if not magic_good(data, 0) and not repair:
            reject("BAD_MAGIC", "QDB-OPN-017", "header", "magic", offset=0)  # QDB-OPN-018
        self.file = writable(examine(data))  # QDB-CMT-016, QDB-CMT-017
        self.primary = data[:AREA]  # QDB-CMT-015
        self.mirror = data[self.file.header.h : self.file.header.h + AREA]

    def fence(self) -> None:
        """Step 2, once a handle (QDB-CMT-020, QDB-CMT-021), from the kept bytes (QDB-CMT-024)."""
        if self.fenced:
            return
        self.disk.fsync()  # QDB-CMT-022
        if self.mirror == self.file.area:  # QDB-CMT-023
            self.disk.write(0, self.mirror)
            self.disk.fsync()
            self.primary = self.mirror
        self.fenced = True

    def commit(self, items: list[Item]) -> None:
        file, header = self.file, self.file.header
        if header.generation == (1 << 64) - 1:
            reject("LIMIT", "QDB-HDR-027", "header", "generation")
        if not all_read_good(file):
            self.keep_from_harm(items)
        free = Free(file)
        plan = lay_out(file, free, items)
        self.fence()
        length = len(self.disk.data)
        table_at, table = plan.write(self.disk)  # step 3
        end = align(len(self.disk.data), max(header.cluster, 4096))
        if length < len(self.disk.data) < end:
            self.disk.write(len(self.disk.data), bytes(end - len(self.disk.data)))  # QDB-CMT-089
        area = next_area(file, len(items), table_at, table, self.writer_id)
        self.disk.write(header.h, area)  # QDB-CMT-032, QDB-CMT-004
        self.disk.fsync()  # step 4: QDB-CMT-033
        if self.disk.read(0, AREA) != self.primary:  # step 5: QDB-CMT-034
            reject("POISONED", "QDB-CMT-035", "header")
        self.disk.write(0, area)  # step 6: QDB-CMT-036
        self.disk.fsync()  # step 7: QDB-CMT-037, QDB-CMT-038
        self.file = writable(examine(bytes(self.disk.data)))
        self.primary = self.mirror = area
        self.cut()

    def keep_from_harm(self, items: list[Item]) -> None:
        """Tries the commit on a copy: who would bring a good bitmap into error becomes all dirty (QDB-CMT-090)."""
        while True:
            trial = Disk(bytes(self.disk.data))
            table_at, table = lay_out(self.file, Free(self.file), items).write(trial)
            trial.write(0, next_area(self.file, len(items), table_at, table, self.writer_id))
            after = examine(bytes(trial.data))
            good = {n for n, item in enumerate(items) if item.entry is not None and read_good(item.entry)}
            if all(read_good(after.entries[n]) for n in good):
                return
            guilty: set[int] = set()
            for held in owners_of(after).values():
                bitmaps = {who[1] for who in held if who[0] in ("l1", "data")}
                if bitmaps & good:
                    guilty |= {n for n in bitmaps - good if items[n].entry is not None}
            assert guilty  # two that were read good share nothing
            for n in guilty:
                item = items[n]
                if not can_be_mended(item.entry):
                    reject("OVERLAP", "QDB-CMT-090", "bitmap table entry", bitmap=item.entry.name.decode("utf-8", "replace"))
                item.bitmap.runs = whole(item.bitmap.bits)
                item.entry = item.problem = None

    def cut(self) -> None:
        """After step 7 (QDB-CMT-042), never below 2H or what the header reaches (QDB-CMT-043)."""
        if not all_read_good(self.file):
            return  # QDB-CMT-083
        end = end_of(self.file)
        if len(self.disk.data) > end:
            self.disk.cut(end)
            self.file = writable(examine(bytes(self.disk.data)))

    def too_long(self) -> bool:
        """QDB-CMT-044; where a bitmap is not read good, the length may become whatever it becomes."""
        if not all_read_good(self.file):
            return False
        return len(self.disk.data) >= 3 * canonical_length(self.file) + 65536


def all_read_good(file: QdbFile) -> bool:
    return all(read_good(entry) for entry in file.entries)


@dataclass
class Plan:
    """What step 3 writes, and the table."""

    writes: list[tuple[int, bytes]] = field(default_factory=list)
    table_at: int = 0
    table: bytes = b""

    def write(self, disk: Disk) -> tuple[int, bytes]:
        for at, data in self.writes:
            disk.write(at, data)
        return self.table_at, self.table


def lay_out(file: QdbFile, free: "Free", items: list[Item]) -> Plan:
    """Finds free space for data clusters, L1 areas and the table (QDB-CMT-030)."""
    header = file.header
    cluster = header.cluster
    ones = bool(header.incompatible_features & INCOMPATIBLE_ALL_ONES)
    plan = Plan()
    for item in items:
        if item.entry is not None:  # copied, its entry byte for byte (QDB-CMT-091)
            plan.table += item.entry.raw
            continue
        bitmap = item.bitmap
        _, stored = lay_clusters(bitmap, cluster, cluster, ones)
        at = free.take(len(stored) * cluster)
        descriptors, stored = lay_clusters(bitmap, at, cluster, ones)
        for number, data in enumerate(stored):
            plan.writes.append((at + number * cluster, data))
        l1_size = l1_entries(bitmap.bits, cluster)
        area = l1_area(descriptors, stored, True)
        l1_at = free.take(l1_length(l1_size, True))
        if area:
            plan.writes.append((l1_at, area))
        plan.table += entry_bytes(bitmap, l1_at, l1_size, crc(area) if area else 0)
    plan.table_at = free.take(len(plan.table))
    if plan.table:
        plan.writes.append((plan.table_at, plan.table))
    return plan


class Free:
    """Space that a commit may use: blocks of 4096 bytes that nothing of generation N has a byte of; none twice (QDB-CMT-031)."""

    def __init__(self, file: QdbFile):
        header = file.header
        self.unit = max(header.cluster, 4096)
        self.used = {n * header.cluster // self.unit for n in owners_of(file)}
        self.first = 2 * header.h // self.unit
        self.bound: int | None = None
        if not all_read_good(file):
            self.first = align(len(file.data), self.unit) // self.unit  # QDB-CMT-080
            named = {n * header.cluster // self.unit for n in named_clusters(file)}
            self.used |= named  # QDB-CMT-081
            behind = sum(n >= self.first for n in named) * self.unit
            self.bound = 3 * (len(file.data) + behind) + (1 << 20)

    def take(self, length: int) -> int:
        """The first place for so many bytes; 0 for none."""
        if length == 0:
            return 0
        units = align(length, self.unit) // self.unit
        at = self.first
        while any(at + n in self.used for n in range(units)):
            at += 1
        self.used.update(range(at, at + units))
        if self.bound is not None:
            self.bound += units * self.unit
            if (at + units) * self.unit > self.bound:
                reject("LIMIT", "QDB-CMT-082", "file")
        return at * self.unit


def writable(file: QdbFile) -> QdbFile:
    """The file, unless it must not be written."""
    if file.problems:
        raise Reject(file.problems[0])  # QDB-CMT-046
    return file


def end_of(file: QdbFile) -> int:
    """Where the file may be cut: a multiple of 4096 and of the cluster size (QDB-CMT-086)."""
    cluster = file.header.cluster
    return align(max(2 * file.header.h, (max(owners_of(file)) + 1) * cluster), max(cluster, 4096))


def canonical_length(file: QdbFile) -> int:
    """Length of the canonical file of the same contents, as far as they are known: at least what is stored."""
    header = file.header
    cluster = header.cluster
    length = 2 * header.h + align(sum(entry.length for entry in file.entries), cluster)
    for entry in file.entries:
        length += align(l1_length(entry.l1_size, True), cluster)
        for descriptor in entry.descriptors:
            at = named_cluster(descriptor)
            if reads_cluster(descriptor) and any(file.data[at : at + cluster]):
                length += cluster
    return length


def next_area(file: QdbFile, count: int, table_at: int, table: bytes, writer_id: bytes) -> bytes:
    """The header area of generation N + 1: unknown bytes of a longer header and extensions are kept (QDB-HDR-033, QDB-EXT-014)."""
    header, area = file.header, file.area
    out = area[:12] + be(count, 4) + be(table_at, 8) + area[24:28] + be(len(table), 4)  # QDB-HDR-016
    out += area[32:48]  # compatible bits are kept (QDB-HDR-023)
    out += be(0, 8)  # no autoclear bit is known (QDB-HDR-010)
    out += be(header.generation + 1, 8)  # QDB-HDR-026
    out += be(crc(table) if table else 0, 4) + be(0, 4) + writer_id + header.file_id  # QDB-HDR-017
    out += clean_rest(file)
    assert len(out) == AREA
    return out[:68] + be(crc(out), 4) + out[72:]


def clean_rest(file: QdbFile) -> bytes:
    """Bytes 104 to 4096: what the header has there, its extensions, and zeros where there is padding (QDB-GEN-011)."""
    rest = bytearray(AREA - 104)
    length = file.header.header_length
    rest[: length - 104] = file.area[104:length]
    for extension in file.extensions:
        at = extension.offset - file.header_offset - 104
        end = at + 8 + len(extension.data)
        rest[at:end] = file.area[at + 104 : end + 104]
    return bytes(rest)


def update(data: bytes, state: State, writer_id: bytes | None = None) -> Disk:
    """Brings a state to the disk; it was made from the file that the bytes are."""
    disk = Disk(data)
    handle = Handle(disk, writer_id=writer_id)
    if state.same_as_file():
        handle.fence()  # QDB-CMT-021
        return disk
    handle.commit(state.items)
    while handle.too_long():  # QDB-CMT-045: everything moves to the lowest place that is free
        length = len(disk.data)
        handle.commit(moved(handle.file))
        if len(disk.data) >= length:
            break
    return disk


def moved(file: QdbFile) -> list[Item]:
    items = state_of(file).items
    for item in items:
        if item.problem is None:
            item.entry = None
    return items
