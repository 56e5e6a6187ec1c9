# SPDX-License-Identifier: CC0-1.0 OR MIT
"""The canonical file (section 4): the same contents give the same bytes (QDB-CAN-001)."""

from dataclasses import dataclass, field

from .bits import Runs, bytes_of_runs
from .model import ALL_ONES_NAME, AREA, FEATURE_NAMES, FULL_HEADER, INCOMPATIBLE_ALL_ONES, MAGIC, VERSION, Tlv
from .numbers import align, align8, be, bits_of, crc, l1_entries, l1_length
from .records import row_bytes


@dataclass
class Bitmap:
    """What a bitmap says; its bits as runs of dirty ones."""

    name: bytes
    size: int
    granularity: int
    flags: int = 0
    records: list[Tlv] = field(default_factory=list)
    runs: Runs = field(default_factory=list)

    @property
    def bits(self) -> int:
        return bits_of(self.size, self.granularity)


@dataclass
class Contents:
    """What a file says."""

    form: str
    cluster_bits: int
    file_id: bytes = bytes(16)
    writer_id: bytes = bytes(16)
    incompatible_features: int = 0
    extensions: list[Tlv] = field(default_factory=list)
    bitmaps: list[Bitmap] = field(default_factory=list)

    @property
    def full(self) -> bool:
        return self.form == "full"

    @property
    def cluster(self) -> int:
        return 1 << self.cluster_bits


def feature_name_table(incompatible: int) -> list[Tlv]:
    """Names exactly the feature bits that are set (QDB-CAN-012, QDB-EXT-017); absent when none is (QDB-CAN-014)."""
    if not incompatible & INCOMPATIBLE_ALL_ONES:
        return []
    return [Tlv(FEATURE_NAMES, bytes((0, 0)) + ALL_ONES_NAME.encode().ljust(46, b"\0"))]  # QDB-CAN-013


def header_area(contents: Contents, table_at: int, table: bytes, generation: int) -> bytes:
    """Header, extensions, end mark and zeros. Draft form: the first 28 bytes, and extensions from 32 on."""
    given = [extension for extension in contents.extensions if extension.type != FEATURE_NAMES]
    names = feature_name_table(contents.incompatible_features) if contents.full else []
    extensions = row_bytes(names + given)  # QDB-CAN-010, QDB-CAN-011; the end mark is zeros (QDB-EXT-005)
    start = MAGIC + be(VERSION, 4) + be(contents.cluster_bits, 4) + be(len(contents.bitmaps), 4) + be(table_at, 8)
    if not contents.full:
        return start + be(28, 4) + bytes(4) + extensions
    area = start + be(FULL_HEADER, 4) + be(len(table), 4)  # QDB-HDR-034
    area += be(contents.incompatible_features, 8) + be(0, 8) + be(0, 8) + be(generation, 8)
    area += be(crc(table) if table else 0, 4) + be(0, 4) + contents.writer_id + contents.file_id  # QDB-HDR-020
    area = (area + extensions).ljust(AREA, b"\0")
    return area[:68] + be(crc(area), 4) + area[72:]  # QDB-HDR-013


def entry_bytes(bitmap: Bitmap, l1_at: int, l1_size: int, l1_checksum: int) -> bytes:
    extra = row_bytes(bitmap.records)
    entry = be(l1_at, 8) + be(l1_size, 4) + be(bitmap.granularity, 4) + be(bitmap.size, 8)
    entry += be(bitmap.flags, 2) + be(len(bitmap.name), 2) + be(l1_checksum, 4) + be(0, 4) + be(len(extra), 4)
    entry += extra + bitmap.name
    return entry.ljust(align8(len(entry)), b"\0")  # QDB-TBL-013


def entry_length(bitmap: Bitmap) -> int:
    return align8(40 + len(row_bytes(bitmap.records)) + len(bitmap.name))


def lay_clusters(bitmap: Bitmap, at: int, cluster: int, ones: bool) -> tuple[list[int], list[bytes]]:
    """Descriptors and the data clusters that are stored, the first of them at `at`."""
    descriptors, stored = [], []
    per_cluster = 8 * cluster
    for number in range(l1_entries(bitmap.bits, cluster)):
        first = number * per_cluster
        end = min(first + per_cluster, bitmap.bits)
        here = [run for run in bitmap.runs if run[0] < end and run[1] > first]
        data = bytes_of_runs(here, first, cluster) if here else b""  # zero behind the last bit (QDB-MAP-017)
        if not here:
            descriptors.append(0)  # QDB-CAN-007, QDB-CAN-009
        elif ones and data == bytes_of_runs([(first, end)], first, cluster):
            descriptors.append(2)  # QDB-CAN-008
        else:
            descriptors.append(at + len(stored) * cluster)
            stored.append(data)
    return descriptors, stored


def l1_area(descriptors: list[int], stored: list[bytes], full: bool) -> bytes:
    """QDB-MAP-004, QDB-MAP-005."""
    area = b"".join(be(d, 8) for d in descriptors)
    if full:
        sums = iter(stored)
        area += b"".join(be(crc(next(sums)) if d > 2 else 0, 4) for d in descriptors)  # QDB-MAP-002, QDB-MAP-003
    return area.ljust(l1_length(len(descriptors), full), b"\0")


def canonical(contents: Contents) -> bytes:
    """The bytes of the file; the contents keep the rules of sections 2 to 4 (see rules.py)."""
    cluster, full = contents.cluster, contents.full
    h = max(cluster, 4096)
    ones = full and bool(contents.incompatible_features & INCOMPATIBLE_ALL_ONES)
    at = 2 * h if full else cluster  # QDB-CAN-003, QDB-CAN-004
    table_at = at if contents.bitmaps else 0  # QDB-HDR-018
    at += align(sum(entry_length(bitmap) for bitmap in contents.bitmaps), cluster)
    table = b""
    pieces: list[tuple[int, bytes]] = []
    for bitmap in contents.bitmaps:
        l1_size = l1_entries(bitmap.bits, cluster)
        l1_at = at if l1_size else 0  # QDB-TBL-014
        at += align(l1_length(l1_size, full), cluster)
        descriptors, stored = lay_clusters(bitmap, at, cluster, ones)
        area = l1_area(descriptors, stored, full)
        table += entry_bytes(bitmap, l1_at, l1_size, crc(area) if full and area else 0)  # QDB-TBL-016, QDB-TBL-017
        pieces.append((l1_at, area))
        pieces += [(at + n * cluster, data) for n, data in enumerate(stored)]
        at += len(stored) * cluster
    out = bytearray(at)  # QDB-CAN-005, QDB-CAN-006

    def place(offset: int, data: bytes) -> None:
        out[offset : offset + len(data)] = data

    area = header_area(contents, table_at, table, 1)  # QDB-CAN-002, QDB-HDR-025
    place(0, area)
    if full:
        place(h, area)  # QDB-HDR-035
    if table:
        place(table_at, table)
    for offset, data in pieces:
        if data:
            place(offset, data)
    return bytes(out)
