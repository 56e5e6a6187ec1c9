# SPDX-License-Identifier: CC0-1.0 OR MIT
"""What a file says, taken from the file."""

from .canonical import Bitmap, Contents
from .model import INCOMPATIBLE_ALL_ONES, Entry, QdbFile, Reject
from .reading import bits_of_bitmap


def bitmap_of(file: QdbFile, entry: Entry) -> Bitmap:
    """A bitmap of the file, without its bits when they cannot be used."""
    bitmap = Bitmap(entry.name, entry.size, entry.granularity, entry.flags, list(entry.records or []))
    if entry.first() is None:
        bitmap.runs = bits_of_bitmap(file, entry)
    return bitmap


def contents_of(file: QdbFile) -> Contents:
    """Everything that a canonical file of the same contents holds; a bitmap in error cannot be carried over."""
    header = file.header
    contents = Contents(
        header.form,
        header.cluster_bits,
        header.file_id,
        header.writer_id,
        header.incompatible_features & INCOMPATIBLE_ALL_ONES,
        list(file.extensions),
    )
    for entry in file.entries:
        problem = entry.first()
        if problem is not None:
            raise Reject(problem)
        contents.bitmaps.append(bitmap_of(file, entry))
    return contents
