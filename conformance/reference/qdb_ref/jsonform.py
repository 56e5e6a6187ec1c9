# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Section 6: what dump writes."""

import hashlib

from .bits import Runs, bytes_of_runs
from .extensions import KINDS, breaks_rules, extension_names, feature_names
from .l1 import reads_cluster
from .model import EXTENSION_NAMES, FEATURE_NAMES, Entry, QdbFile, Tlv
from .numbers import ceil_div, utf8, uuid_text
from .reading import bits_of_bitmap
from .records import record_form

UNSTORED = 16 << 20  # bytes
FLAG_NAMES = {0: "enabled", 1: "in_use", 2: "frozen"}


def dump(file: QdbFile, all_digests: bool = False) -> dict:
    """The JSON form of a file without an error of its own (QDB-JSN-001)."""
    return {
        "format": "qdb",
        "header": header_form(file),
        "extensions": [extension_form(extension) for extension in file.extensions],
        "bitmaps": bitmap_forms(file, all_digests),
    }


def bitmap_forms(file: QdbFile, all_digests: bool) -> list[dict]:
    left = UNSTORED
    forms = []
    for entry in file.entries:
        form, runs = bitmap_form(file, entry)
        if runs is not None:
            unstored = unstored_bytes(file, entry)
            if unstored <= left or all_digests:  # QDB-JSN-025
                form["bits_sha256"] = bits_sha256(runs, entry.bits)
                left -= unstored
        forms.append(form)
    return forms


def unstored_bytes(file: QdbFile, entry: Entry) -> int:
    """Bytes of bitmap data whose L1 entry reads no cluster (QDB-JSN-025)."""
    length, cluster = ceil_div(entry.bits, 8), file.header.cluster
    starts = [at * cluster for at, descriptor in enumerate(entry.descriptors) if not reads_cluster(descriptor)]
    return sum(min(cluster, length - start) for start in starts)


def header_form(file: QdbFile) -> dict:
    header = file.header
    form = {
        "form": header.form,
        "version": header.version,
        "cluster_bits": header.cluster_bits,
        "nb_bitmaps": header.nb_bitmaps,
        "bitmaps_offset": str(header.bitmaps_offset),  # QDB-JSN-002
        "header_length": header.header_length,
    }
    if header.full:  # QDB-JSN-012
        form |= {
            "bitmaps_size": header.bitmaps_size,
            "incompatible_features": f"0x{header.incompatible_features:016x}",  # QDB-JSN-004, QDB-JSN-009
            "compatible_features": f"0x{header.compatible_features:016x}",
            "autoclear_features": f"0x{header.autoclear_features:016x}",
            "generation": str(header.generation),
            "table_checksum": f"{header.table_checksum:08x}",  # QDB-JSN-006
            "header_checksum": f"{header.header_checksum:08x}",
            "writer_id": uuid_text(header.writer_id),
            "file_id": uuid_text(header.file_id),
        }
    return form


def extension_form(extension: Tlv) -> dict:
    form: dict = {"type": f"0x{extension.type:08x}"}  # QDB-JSN-005
    if extension.type == FEATURE_NAMES and not breaks_rules(extension):
        names = feature_names(extension.data)
        form["features"] = [{"kind": KINDS[kind], "bit": bit, "name": name} for kind, bit, name in names]  # QDB-JSN-013
    elif extension.type == EXTENSION_NAMES and not breaks_rules(extension):
        form["names"] = [{"type": f"0x{kind:08x}", "name": name} for kind, name in extension_names(extension.data)]  # QDB-JSN-014
    else:
        form["data"] = extension.data.hex()  # QDB-JSN-008, QDB-JSN-016
    return form


def flag_names(flags: int) -> list[str]:
    return [FLAG_NAMES.get(bit, f"bit{bit}") for bit in range(16) if flags >> bit & 1]  # QDB-JSN-011, QDB-JSN-024


def bitmap_form(file: QdbFile, entry: Entry) -> tuple[dict, Runs | None]:
    """A bitmap without its digest, and its bits where they can be used."""
    name = utf8(entry.name)
    form: dict = {"name_hex": entry.name.hex()} if name is None else {"name": name}  # QDB-JSN-020
    form |= {
        "size": str(entry.size),  # QDB-JSN-023
        "granularity": entry.granularity,
        "flags": flag_names(entry.flags),
        "l1_table_offset": str(entry.l1_table_offset),
        "l1_size": entry.l1_size,
    }
    if file.header.full:
        form["l1_checksum"] = f"{entry.l1_checksum:08x}"
    if entry.records is not None and entry.extra_data_size <= 4096:  # QDB-JSN-021
        form["extra_data"] = [record_form(record) for record in entry.records]
    problem = entry.first()
    if problem is not None:  # QDB-JSN-022
        form["error"] = {"code": problem.code, "message": f"{problem.requirement}: {problem.structure} {problem.field}".rstrip()}
        return form, None
    runs = bits_of_bitmap(file, entry)
    dirty = byte_ranges(runs, entry.size, entry.granularity)
    form["dirty"] = [[str(offset), str(length)] for offset, length in dirty]
    form["dirty_bytes"] = str(sum(length for _, length in dirty))
    return form, runs


def byte_ranges(runs: Runs, size: int, granularity: int) -> list[tuple[int, int]]:
    """Dirty ranges of the disk, clipped to its size (QDB-GEN-002, QDB-JSN-017)."""
    out = []
    for first, end in runs:
        start, stop = first * granularity, min(end * granularity, size)
        out.append((start, stop - start))
    return out


def bits_sha256(runs: Runs, bits: int) -> str:
    """QDB-JSN-018: runs end at the last bit, so the bits behind it are zero."""
    digest = hashlib.sha256()
    length = ceil_div(bits, 8)
    piece = 1 << 20
    at = 0
    for start in range(0, length, piece):
        first, end = 8 * start, 8 * (start + piece)
        while at < len(runs) and runs[at][1] <= first:
            at += 1
        here = []
        for run in runs[at:]:
            if run[0] >= end:
                break
            here.append(run)
        digest.update(bytes_of_runs(here, first, min(piece, length - start)))
    return digest.hexdigest()
