# SPDX-License-Identifier: CC0-1.0 OR MIT
"""
Section 5, over a buffer of bytes that keeps a log of what was done to it.

I1: the primary is only overwritten with bytes that the mirror holds and an fsync has covered since.

I2: the mirror is only overwritten while the primary is known to be on the disk, and with a higher generation than the
primary's (creation excepted; repair too is a commit).
"""

import os

from .canonical import entry_bytes, l1_area, lay_clusters
from .l1 import named_cluster, owners_of, reads_cluster
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
        self.fence()
        table_at, table = self.lay_out(items)  # step 3
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

    def lay_out(self, items: list[Item]) -> tuple[int, bytes]:
        """Writes data clusters, L1 areas and the table into free space (QDB-CMT-030)."""
        header = self.file.header
        cluster = header.cluster
        ones = bool(header.incompatible_features & INCOMPATIBLE_ALL_ONES)
        free = Free(self.file)
        table = b""
        for item in items:
            if item.entry is not None:  # copied, its entry byte for byte (QDB-CMT-048)
                table += item.entry.raw
                continue
            bitmap = item.bitmap
            _, stored = lay_clusters(bitmap, cluster, cluster, ones)
            at = free.take(len(stored) * cluster)
            descriptors, stored = lay_clusters(bitmap, at, cluster, ones)
            for number, data in enumerate(stored):
                self.disk.write(at + number * cluster, data)
            l1_size = l1_entries(bitmap.bits, cluster)
            area = l1_area(descriptors, stored, True)
            l1_at = free.take(l1_length(l1_size, True))
            if area:
                self.disk.write(l1_at, area)
            table += entry_bytes(bitmap, l1_at, l1_size, crc(area) if area else 0)
        table_at = free.take(len(table))
        if table:
            self.disk.write(table_at, table)
        return table_at, table

    def cut(self) -> None:
        """After step 7 (QDB-CMT-042), never below 2H or what the header reaches (QDB-CMT-043)."""
        if not all(entry.l1_good for entry in self.file.entries):
            return  # QDB-CMT-050
        end = end_of(self.file)
        if len(self.disk.data) > end:
            self.disk.cut(end)
            self.file = writable(examine(bytes(self.disk.data)))

    def too_long(self) -> bool:
        """QDB-CMT-044; where a bitmap is not read good, the length may become whatever it becomes."""
        if not all(entry.l1_good for entry in self.file.entries):
            return False
        return len(self.disk.data) >= 3 * canonical_length(self.file) + 65536


class Free:
    """Space that a commit may use: blocks of 4096 bytes that nothing of generation N has a byte of; none twice (QDB-CMT-031)."""

    def __init__(self, file: QdbFile):
        header = file.header
        self.unit = max(header.cluster, 4096)
        self.end = align(max(len(file.data), 2 * header.h), self.unit)
        self.used = {n * header.cluster // self.unit for n in owners_of(file)}
        self.first = 2 * header.h // self.unit
        if not all(entry.l1_good for entry in file.entries):
            self.first = self.end // self.unit  # QDB-CMT-049

    def take(self, length: int) -> int:
        """The first place for so many bytes; 0 for none."""
        if length == 0:
            return 0
        units = align(length, self.unit) // self.unit
        at = self.first
        while any(at + n in self.used for n in range(units)):
            at += 1
        self.used.update(range(at, at + units))
        return at * self.unit


def writable(file: QdbFile) -> QdbFile:
    """The file, unless it must not be written."""
    if file.problems:
        raise Reject(file.problems[0])  # QDB-CMT-046
    for entry in file.entries:
        for problem in entry.ordered():
            if problem.code == "OVERLAP":
                raise Reject(problem)  # QDB-CMT-047
    return file


def end_of(file: QdbFile) -> int:
    return max(2 * file.header.h, (max(owners_of(file)) + 1) * file.header.cluster)


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
