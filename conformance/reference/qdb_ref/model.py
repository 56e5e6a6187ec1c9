# SPDX-License-Identifier: CC0-1.0 OR MIT
"""What the modules share: the values of the spec, problems, and the parts of a file that was read."""

from dataclasses import dataclass, field

MAGIC = b"QDB\0"
VERSION = 1
AREA = 4096  # the header area (QDB-HDR-030)
SPACE_MAX = 4096  # header, extensions and end mark (QDB-HDR-031)
FULL_HEADER = 104
DRAFT_HEADER = 28
TABLE_MAX = 64 << 20
PAST_THE_END = 1 << 53  # QDB-GEN-008

INCOMPATIBLE_ALL_ONES = 1 << 0
KNOWN_INCOMPATIBLE = INCOMPATIBLE_ALL_ONES
ALL_ONES_NAME = "all-ones clusters"

FEATURE_NAMES = 0x6803F857
EXTENSION_NAMES = 0x51444E4D

ENABLED = 1
IN_USE = 2
FROZEN = 4
KNOWN_FLAGS = ENABLED | IN_USE | FROZEN


@dataclass
class Problem:
    """An error of a file, of a bitmap or of an operation: one code, and the rule that is broken."""

    code: str
    requirement: str
    structure: str = ""
    field: str = ""
    offset: int | None = None
    bitmap: str | None = None
    message: str = ""

    def where(self) -> dict:
        where = {}
        if self.structure:
            where["structure"] = self.structure
        if self.field:
            where["field"] = self.field
        if self.offset is not None:
            where["offset"] = self.offset if self.offset < PAST_THE_END else str(self.offset)
        if self.bitmap is not None:
            where["bitmap"] = self.bitmap
        return where

    def form(self) -> dict:
        return {"code": self.code, "requirement": self.requirement, "where": self.where()}


class Reject(Exception):
    """The error that ends what was asked."""

    def __init__(self, problem: Problem):
        super().__init__(f"{problem.code} ({problem.requirement}) {problem.message}")
        self.problem = problem


def reject(code: str, requirement: str, structure: str = "", field_name: str = "", **rest) -> None:
    """Ends with an error."""
    raise Reject(Problem(code, requirement, structure, field_name, **rest))


@dataclass
class Tlv:
    """A header extension or a record: both have the same shape (section 2.5)."""

    type: int
    data: bytes
    offset: int = 0  # of the head, in the file


@dataclass
class Header:
    """The fields of the header; those that draft form does not have are 0."""

    form: str
    version: int
    cluster_bits: int
    nb_bitmaps: int
    bitmaps_offset: int
    header_length: int
    bitmaps_size: int = 0
    incompatible_features: int = 0
    compatible_features: int = 0
    autoclear_features: int = 0
    generation: int = 0
    table_checksum: int = 0
    header_checksum: int = 0
    writer_id: bytes = bytes(16)
    file_id: bytes = bytes(16)

    @property
    def full(self) -> bool:
        return self.form == "full"

    @property
    def cluster(self) -> int:
        return 1 << self.cluster_bits

    @property
    def h(self) -> int:
        """H of section 1."""
        return max(self.cluster, 4096)

    @property
    def space(self) -> int:
        """The space of QDB-HDR-031."""
        return min(self.cluster, SPACE_MAX)

    @property
    def first_free(self) -> int:
        """Where structures may begin: QDB-HDR-036, QDB-HDR-042."""
        return 2 * self.h if self.full else self.cluster


@dataclass
class Entry:
    """A bitmap table entry, and what was found out about its bitmap."""

    index: int
    offset: int
    length: int
    l1_table_offset: int
    l1_size: int
    granularity: int
    size: int
    flags: int
    name_size: int
    l1_checksum: int
    reserved: int
    extra_data_size: int
    extra: bytes
    name: bytes
    padding: bytes
    raw: bytes
    records: list[Tlv] | None = None  # None: no row of records (QDB-REC-001, QDB-REC-002)
    records_padding: list[int] = field(default_factory=list)  # file offsets of padding that is not zero
    problems: list[tuple[int, Problem]] = field(default_factory=list)  # with their place in QDB-ERR-017
    bits: int | None = None  # None: size, granularity or their quotient is in error
    l1_area: bytes | None = None  # None: there is none, or its place is in error
    l1_good: bool = True  # the L1 area and all its entries were read good
    descriptors: list[int] = field(default_factory=list)
    cluster_checksums: list[int] = field(default_factory=list)
    bad_clusters: set[int] = field(default_factory=set)  # entries whose data cluster does not match its checksum

    def report(self, place: int, code: str, requirement: str, structure: str, field_name: str = "", **rest) -> None:
        self.problems.append((place, Problem(code, requirement, structure, field_name, bitmap=self.label(), **rest)))

    def label(self) -> str:
        try:
            return self.name.decode("utf-8")
        except UnicodeDecodeError:
            return "hex:" + self.name.hex()

    def first(self) -> Problem | None:
        """The error that a reader reports (QDB-ERR-017)."""
        return min(self.problems, key=lambda item: item[0])[1] if self.problems else None

    def ordered(self) -> list[Problem]:
        return [problem for _, problem in sorted(self.problems, key=lambda item: item[0])]


@dataclass
class QdbFile:
    """A file as it was read: never changed in place."""

    data: bytes
    header: Header
    header_offset: int  # 0, or where the mirror is that was taken (QDB-OPN-007)
    area: bytes  # the 4096 bytes of the header area; in draft form the space of QDB-HDR-031
    problems: list[Problem] = field(default_factory=list)  # errors of the file, in the order of QDB-ERR-010
    extensions: list[Tlv] = field(default_factory=list)
    header_padding: list[int] = field(default_factory=list)  # file offsets of padding that is not zero
    entries: list[Entry] = field(default_factory=list)
    table_end: int = 0
    table_walked: bool = False
