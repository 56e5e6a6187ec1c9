# SPDX-License-Identifier: CC0-1.0 OR MIT
"""What a file says while it is being changed: its bitmaps, those in error among them."""

import os
from dataclasses import dataclass, field

from .bits import whole
from .canonical import Bitmap, Contents
from .check import can_be_mended
from .contents import bitmap_of
from .l1 import read_good
from .model import IN_USE, Entry, Problem, QdbFile, Reject, reject


@dataclass
class Item:
    """One bitmap: as the file has it, or made anew."""

    bitmap: Bitmap
    entry: Entry | None = None  # where the file has it, unchanged
    problem: Problem | None = None  # its bits cannot be used: copied, removed or marked all dirty (QDB-CMT-091)

    def usable(self) -> Bitmap:
        """To be changed, or read by another change."""
        if self.problem is not None:
            raise Reject(self.problem)
        if self.bitmap.flags & IN_USE:  # since a session began
            reject("INCONSISTENT", "QDB-COL-010", bitmap=self.bitmap.name.decode("utf-8", "replace"))
        return self.bitmap


@dataclass
class State:
    form: str
    cluster_bits: int
    incompatible_features: int
    items: list[Item] = field(default_factory=list)
    file: QdbFile | None = None

    def find(self, name: bytes) -> Item:
        found = [item for item in self.items if item.bitmap.name == name]
        if not found:
            reject("NOT_FOUND", "QDB-ERR-005", bitmap=name.decode("utf-8", "replace"))
        if len(found) > 1:
            reject("DUPLICATE_NAME", "QDB-TBL-020", bitmap=name.decode("utf-8", "replace"))
        return found[0]

    def has(self, name: bytes) -> bool:
        return any(item.bitmap.name == name for item in self.items)

    def source(self, item: Item) -> Bitmap:
        """The bits of a bitmap, to be combined into another: what is clean in them counts as unchanged (QDB-OPN-024)."""
        bitmap = item.usable()
        if self.file is not None and self.file.header_offset:
            reject("BAD_CHECKSUM", "QDB-OPN-024", "mirror", offset=self.file.header_offset, bitmap=bitmap.name.decode("utf-8", "replace"))
        return bitmap

    def same_as_file(self) -> bool:
        """Whether every bitmap is where the file has it, in the same order."""
        if self.file is None:
            return False
        return [item.entry for item in self.items] == self.file.entries and all(item.entry for item in self.items)

    def contents(self) -> Contents:
        """For a file that is written whole; a bitmap in error cannot be carried over, but for in_use, which is a fact."""
        header = self.file.header if self.file else None
        contents = Contents(self.form, self.cluster_bits, incompatible_features=self.incompatible_features)
        contents.writer_id = os.urandom(16)  # QDB-HDR-014
        contents.file_id = header.file_id if header is not None and header.full else os.urandom(16)  # QDB-HDR-015
        if header is not None:
            contents.extensions = list(self.file.extensions)
        contents.bitmaps = [self.carried(item) for item in self.items]
        return contents

    def carried(self, item: Item) -> Bitmap:
        """In draft form nothing tells which bits are right where an L1 area or an entry is in error, or shares a cluster (QDB-CMT-085)."""
        entry = item.entry
        if entry is not None and not read_good(entry) and can_be_mended(entry):
            item.bitmap.runs = whole(item.bitmap.bits)
            return item.bitmap
        return item.bitmap if item.problem is None else item.usable()


def state_of(file: QdbFile) -> State:
    header = file.header
    state = State(header.form, header.cluster_bits, header.incompatible_features, file=file)
    for entry in file.entries:
        state.items.append(Item(bitmap_of(file, entry), entry, entry.first()))
    return state
