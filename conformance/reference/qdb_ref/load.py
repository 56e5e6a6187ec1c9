# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Section 6: what load takes, and what it makes of it."""

import os

from . import jsontext as js
from .bits import Runs, normal
from .canonical import Bitmap, Contents
from .extensions import KINDS
from .jsonform import bits_sha256, byte_ranges
from .model import ENABLED, EXTENSION_NAMES, FEATURE_NAMES, FROZEN, IN_USE, Tlv
from .numbers import be, ceil_div
from .records import COMMENT, CREATED, DISK, ID, PARENT, SESSION, STAMP, SUCCESSOR
from .rules import first_broken

FLAGS = {"enabled": ENABLED, "in_use": IN_USE, "frozen": FROZEN}


def one_of(choices, requirement: str):
    def read(value, place: str):
        if not isinstance(value, str) or value not in choices:
            js.usage(requirement, place)
        return value

    return read


HEADER = {
    "form": one_of(("full", "draft"), "QDB-JSN-036"),
    "cluster_bits": js.integer(9, 21, "QDB-JSN-049"),
    "version": js.u32,  # from here on looked at for the syntax only (QDB-JSN-040), file_id excepted
    "nb_bitmaps": js.u32,
    "bitmaps_offset": js.u64,
    "header_length": js.u32,
    "bitmaps_size": js.u32,
    "incompatible_features": js.word,
    "compatible_features": js.word,
    "autoclear_features": js.word,
    "generation": js.u64,
    "table_checksum": js.checksum,
    "header_checksum": js.checksum,
    "writer_id": js.uuid,
    "file_id": js.uuid,
}


def short_name(most: int):
    def read(value, place: str) -> bytes:
        name = js.text(value, place).encode()
        if not 1 <= len(name) <= most or 0 in name:
            js.usage("QDB-JSN-049", place)  # QDB-EXT-012, QDB-EXT-021
        return name

    return read


def feature(value, place: str) -> dict:
    known = {"kind": one_of(KINDS, "QDB-JSN-013"), "bit": js.integer(0, 63), "name": short_name(46)}
    return js.an_object(value, place, known, ("kind", "bit", "name"))


def extension_name(value, place: str) -> bytes:
    entry = js.an_object(value, place, {"type": js.kind, "name": short_name(44)}, ("type", "name"))
    if entry["type"] in (FEATURE_NAMES, EXTENSION_NAMES):
        js.usage("QDB-JSN-049", place)  # QDB-EXT-020
    return be(entry["type"], 4) + entry["name"].ljust(44, b"\0")


def extension(value, place: str) -> Tlv:
    known = {"type": js.kind, "data": js.hexbytes, "features": js.an_array(feature), "names": js.an_array(extension_name)}
    form = js.an_object(value, place, known, ("type",))
    own = {FEATURE_NAMES: "features", EXTENSION_NAMES: "names"}.get(form["type"], "data")
    keys = set(form) - {"type"}
    if keys not in ({own}, {"data"}):
        js.usage("QDB-JSN-045", place)
    if "data" in form:
        return Tlv(form["type"], form["data"])
    return Tlv(form["type"], b"".join(form["names"]) if own == "names" else b"")


RECORD_KEYS = {
    DISK: ("disk",),
    STAMP: ("length", "mtime", "file"),
    ID: ("id",),
    PARENT: ("parent",),
    CREATED: ("created",),
    COMMENT: ("comment",),
    SUCCESSOR: ("successor",),
    SESSION: ("session", "file"),
}


def record(value, place: str) -> Tlv:
    texts = {key: js.text for key in ("disk", "comment", "successor")}
    known = {"type": js.kind, "data": js.hexbytes, "id": js.uuid, "parent": js.uuid, "session": js.uuid} | texts
    known |= {"length": js.u64, "mtime": js.i64, "file": js.u64, "created": js.i64}
    form = js.an_object(value, place, known, ("type",))
    kind = form.pop("type")
    if set(form) == {"data"}:
        return Tlv(kind, form["data"])
    if set(form) != set(RECORD_KEYS.get(kind, ())) or not form:
        js.usage("QDB-JSN-045", place)
    if kind == STAMP:
        data = be(form["length"], 8) + form["mtime"].to_bytes(8, "big", signed=True) + be(form["file"], 8)
    elif kind == CREATED:
        data = form["created"].to_bytes(8, "big", signed=True)
    elif kind == SESSION:
        if form["file"] == 0:
            js.usage("QDB-JSN-049", place)  # QDB-REC-037
        data = form["session"] + be(form["file"], 8)
    elif kind in (ID, PARENT):
        data = form[RECORD_KEYS[kind][0]]
    else:
        data = form[RECORD_KEYS[kind][0]].encode()
    return Tlv(kind, data)


def extent(value, place: str) -> tuple[int, int]:
    pair = js.an_array(js.u64)(value, place)
    if len(pair) != 2:
        js.usage("QDB-JSN-017", place)
    return pair[0], pair[1]


BITMAP = {
    "name": js.text,
    "size": js.u64,
    "granularity": js.u32,
    "flags": js.an_array(one_of(FLAGS, "QDB-JSN-047")),
    "extra_data": js.an_array(record),
    "dirty": js.an_array(extent),
    "dirty_bytes": js.u64,
    "bits_sha256": js.sha256,
    "l1_table_offset": js.u64,
    "l1_size": js.u32,
    "l1_checksum": js.checksum,
}


def bitmap(value, place: str) -> Bitmap:
    form = js.an_object(value, place, BITMAP, ("name", "size", "granularity", "dirty"))
    names = form.get("flags", [])  # QDB-JSN-037
    if len(set(names)) != len(names):
        js.usage("QDB-JSN-011", f"{place}.flags")
    flags = sum(FLAGS[name] for name in names)
    size, granularity = form["size"], form["granularity"]
    if granularity == 0:
        js.usage("QDB-JSN-049", f"{place}.granularity")
    runs = round_outward(form["dirty"], size, granularity, place)
    made = Bitmap(form["name"].encode(), size, granularity, flags, form.get("extra_data", []), runs)
    dirty = sum(length for _, length in byte_ranges(runs, size, granularity))
    if form.get("dirty_bytes", dirty) != dirty:
        js.usage("QDB-JSN-039", f"{place}.dirty_bytes")
    if "bits_sha256" in form and made.bits <= 1 << 32 and form["bits_sha256"].lower() != bits_sha256(runs, made.bits):
        js.usage("QDB-JSN-039", f"{place}.bits_sha256")
    return made


def round_outward(dirty: list[tuple[int, int]], size: int, granularity: int, place: str) -> Runs:
    """QDB-JSN-035, QDB-DRT-003."""
    runs = []
    for index, (offset, length) in enumerate(dirty):
        if offset + length > size:
            js.usage("QDB-JSN-042", f"{place}.dirty[{index}]")
        if length:
            runs.append((offset // granularity, ceil_div(offset + length, granularity)))
    return normal(runs)


def load(text: str, draft: bool = False, writer_id: bytes | None = None) -> Contents:
    """Contents of the file that a document asks for; what is not taken is derived (QDB-JSN-033, QDB-JSN-034)."""
    value = js.parse(text)
    js.check_text(value, "$")
    known = {
        "format": one_of(("qdb",), "QDB-JSN-001"),
        "header": lambda v, p: js.an_object(v, p, HEADER, ("form", "cluster_bits")),
        "extensions": js.an_array(extension, 64),
        "bitmaps": js.an_array(bitmap, 65535),
    }
    document = js.an_object(value, "$", known, ("header",))
    header = document["header"]
    incompatible = header.get("incompatible_features", 0)
    if incompatible & ~1:
        js.usage("QDB-JSN-041", "$.header.incompatible_features")
    form = "draft" if draft else header["form"]
    contents = Contents(form, header["cluster_bits"], extensions=document.get("extensions", []), bitmaps=document.get("bitmaps", []))
    if contents.full:
        contents.incompatible_features = incompatible
        contents.file_id = header.get("file_id", os.urandom(16))  # QDB-JSN-038
        contents.writer_id = writer_id if writer_id is not None else header.get("writer_id", os.urandom(16))
    broken = first_broken(contents)
    if broken is not None:
        js.usage("QDB-JSN-049", "$", f"{broken.code} {broken.requirement}")
    return contents
