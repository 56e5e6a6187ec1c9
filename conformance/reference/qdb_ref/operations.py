# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Operations on bitmaps, as a script of one a line; all of them or none (README.md has the list)."""

import hashlib
from urllib.parse import unquote_to_bytes

from . import bits as b
from .canonical import Bitmap
from .check import about_bits
from .model import ENABLED, FROZEN, IN_USE, Reject, Tlv, reject
from .numbers import bits_of, ceil_div
from .reading import bits_of_bitmap
from .records import ID, PARENT, SESSION, SUCCESSOR, breaks_rule, is_name
from .state import Item, State


def usage(requirement: str, message: str = "", bitmap: Bitmap | None = None) -> None:
    label = bitmap.name.decode("utf-8", "replace") if bitmap else None
    reject("USAGE", requirement, bitmap=label, message=message)


def number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or int(text) >= 1 << 64:
        usage("QDB-ERR-041", f"{text} is no u64")
    return int(text)


def new_name(state: State, text: str) -> bytes:
    name = unquote_to_bytes(text)
    if not is_name(name):
        usage("QDB-TBL-006", "no name of a bitmap")  # QDB-TBL-018, QDB-TBL-019
    if state.has(name):
        reject("ALREADY_EXISTS", "QDB-ERR-006", bitmap=name.decode())
    return name


def check_shape(size: int, granularity: int) -> None:
    if granularity & (granularity - 1) or not 512 <= granularity <= 1 << 31:
        usage("QDB-TBL-003")
    if size > (1 << 63) - 1:
        usage("QDB-TBL-004")
    if bits_of(size, granularity) > 1 << 32:
        reject("LIMIT", "QDB-TBL-015")


def set_runs(item: Item, runs: b.Runs) -> None:
    """New bits of the same size and granularity. Who removes bits makes a new point of the chain (QDB-REC-032)."""
    bitmap = item.usable()
    if bitmap.runs == runs:
        return
    if b.subtract(bitmap.runs, runs):
        if bitmap.flags & FROZEN:
            usage("QDB-FLG-007", "a frozen bitmap still holds what a failed backup gives back", bitmap)  # QDB-DRT-001
        next_point(bitmap)
    bitmap.runs = runs
    item.entry = None


def next_point(bitmap: Bitmap) -> None:
    old = next((record for record in bitmap.records if record.type == ID), None)
    if old is None or len(old.data) != 16:
        return
    new = hashlib.sha256(b"qdb reference: the point after " + old.data).digest()[:16]
    kept = [record for record in bitmap.records if record.type != PARENT]
    at = kept.index(old)
    kept[at : at + 1] = [Tlv(ID, new), Tlv(PARENT, old.data)]
    bitmap.records = kept


def inside(bitmap: Bitmap, offset: int, length: int) -> None:
    if offset + length > bitmap.size:
        usage("QDB-ERR-041", "the range ends past the disk", bitmap)


def add(state: State, name: str, size: str, granularity: str, *flags: str) -> None:
    check_shape(number(size), number(granularity))
    if flags not in ((), ("disabled",)):
        usage("QDB-ERR-041")
    state.items.append(Item(Bitmap(new_name(state, name), number(size), number(granularity), 0 if flags else ENABLED)))


def frozen_before(state: State, name: bytes) -> list[Item]:
    """The frozen bitmaps that name this one as their successor."""

    def names_it(item: Item) -> bool:
        return any(record.type == SUCCESSOR and record.data == name for record in item.bitmap.records)

    return [item for item in state.items if item.bitmap.flags & FROZEN and names_it(item)]


def remove(state: State, name: str) -> None:
    item = state.find(unquote_to_bytes(name))
    if any(other is not item for other in frozen_before(state, item.bitmap.name)):
        usage("QDB-FLG-016", bitmap=item.bitmap)
    state.items.remove(item)  # one in error too (QDB-FLG-004, QDB-FLG-017)


def clear(state: State, name: str) -> None:
    item = state.find(unquote_to_bytes(name))
    item.usable()
    set_runs(item, [])


def invert(state: State, name: str) -> None:
    item = state.find(unquote_to_bytes(name))
    bitmap = item.usable()
    set_runs(item, b.subtract(b.whole(bitmap.bits), bitmap.runs))


def mark(state: State, name: str, offset: str, length: str) -> None:
    item = state.find(unquote_to_bytes(name))
    bitmap = item.usable()
    start, size, g = number(offset), number(length), bitmap.granularity
    inside(bitmap, start, size)
    if size:  # QDB-DRT-003
        set_runs(item, b.union(bitmap.runs, [(start // g, ceil_div(start + size, g))]))


def unmark(state: State, name: str, offset: str, length: str) -> None:
    item = state.find(unquote_to_bytes(name))
    bitmap = item.usable()
    start, size, g = number(offset), number(length), bitmap.granularity
    inside(bitmap, start, size)
    first = ceil_div(start, g)  # QDB-DRT-004
    end = bitmap.bits if start + size == bitmap.size else (start + size) // g
    if size and first < end:
        set_runs(item, b.subtract(bitmap.runs, [(first, end)]))


def mark_all(state: State, name: str) -> None:
    """The one way back for a bitmap in error whose shape is known (QDB-FLG-020, QDB-CMT-091)."""
    item = state.find(unquote_to_bytes(name))
    bitmap = item.bitmap
    for problem in item.entry.ordered() if item.entry is not None else []:
        # Bits, place and reserved field are written anew; another error would stay.
        stays = not about_bits(problem) and problem.code != "INCONSISTENT" and problem.field != "reserved"
        if stays and problem.requirement != "QDB-FLG-021":  # a session goes
            raise Reject(problem)
    bitmap.runs = b.whole(bitmap.bits)
    clear_in_use(bitmap)
    item.entry = item.problem = None


def clear_in_use(bitmap: Bitmap) -> None:
    """A session ends with in_use, and its record goes, be it broken (QDB-FLG-022)."""
    bitmap.flags &= ~IN_USE
    bitmap.records = [record for record in bitmap.records if record.type != SESSION]


def session_of(bitmap: Bitmap) -> Tlv | None:
    return next((record for record in bitmap.records if record.type == SESSION and not breaks_rule(record)), None)


def session_data(uuid: str, file: str) -> bytes:
    digits = uuid.replace("-", "")
    if len(uuid) != 36 or len(digits) != 32 or number(file) == 0:  # QDB-REC-037
        usage("QDB-ERR-041", "no session")
    try:
        return bytes.fromhex(digits) + number(file).to_bytes(8, "big")
    except ValueError:
        return usage("QDB-ERR-041", "no UUID")


def begin_session(state: State, name: str, uuid: str, file: str) -> None:
    item = state.find(unquote_to_bytes(name))
    new = Tlv(SESSION, session_data(uuid, file))
    bitmap = item.usable()  # QDB-COL-014
    if not bitmap.flags & ENABLED:
        usage("QDB-COL-013", bitmap=bitmap)
    bitmap.flags |= IN_USE  # QDB-COL-011
    others = [record for record in bitmap.records if record.type != SESSION]  # a broken one is there perhaps
    bitmap.records = [*others, new]
    item.entry = None


def end_session(state: State, name: str, uuid: str, file: str, source: str) -> None:
    item, other = state.find(unquote_to_bytes(name)), state.find(unquote_to_bytes(source))
    told = session_data(uuid, file)
    bitmap, shell = item.bitmap, state.source(other)
    if item.problem is not None:  # in_use alone is what a session is about; another error stays (QDB-CMT-091)
        for problem in item.entry.ordered():
            if problem.code != "INCONSISTENT":
                raise Reject(problem)
        bitmap.runs = bits_of_bitmap(state.file, item.entry)
    if not bitmap.flags & IN_USE:
        usage("QDB-COL-015", bitmap=bitmap)
    found = session_of(bitmap)
    if found is None or found.data != told:
        reject("INCONSISTENT", "QDB-COL-016", bitmap=bitmap.name.decode("utf-8", "replace"))
    if bitmap.size != shell.size:
        reject("SIZE_MISMATCH", "QDB-ERR-004")
    runs = regranulated(shell.runs, shell.granularity, bitmap.granularity, bitmap.size)
    bitmap.runs = b.union(bitmap.runs, runs)  # QDB-COL-012
    clear_in_use(bitmap)
    item.entry = item.problem = None


def set_enabled(state: State, name: str, enabled: bool) -> None:
    item = state.find(unquote_to_bytes(name))
    bitmap = item.usable()  # QDB-COL-010
    if bitmap.flags & FROZEN and enabled:
        usage("QDB-FLG-008", bitmap=bitmap)
    flags = bitmap.flags | ENABLED if enabled else bitmap.flags & ~ENABLED
    if flags != bitmap.flags:
        bitmap.flags = flags
        item.entry = None


def regranulated(runs: b.Runs, old: int, new: int, size: int) -> b.Runs:
    """Rounded outward: what was dirty stays dirty (QDB-DRT-005)."""
    return b.normal([(first * old // new, ceil_div(min(end * old, size), new)) for first, end in runs])


def combine(state: State, name: str, source: str, how: str) -> None:
    target, other = state.find(unquote_to_bytes(name)), state.find(unquote_to_bytes(source))
    into, what = target.usable(), state.source(other)
    if into.size != what.size:
        reject("SIZE_MISMATCH", "QDB-ERR-004")
    if how == "merge":
        runs = regranulated(what.runs, what.granularity, into.granularity, into.size)
        set_runs(target, b.union(into.runs, runs))
        return
    if into.granularity != what.granularity:
        reject("SIZE_MISMATCH", "QDB-ERR-004")
    function = {"intersect": b.intersect, "subtract": b.subtract, "xor": b.xor}[how]
    set_runs(target, function(into.runs, what.runs))


def rename(state: State, name: str, to: str) -> None:
    item = state.find(unquote_to_bytes(name))
    bitmap = item.bitmap
    if session_of(bitmap) is not None and bitmap.flags & IN_USE:
        usage("QDB-FLG-024", bitmap=bitmap)
    item.usable()
    if unquote_to_bytes(to) == bitmap.name:
        return
    new = new_name(state, to)
    for frozen in frozen_before(state, bitmap.name):  # QDB-FLG-015
        frozen.usable()
        frozen.bitmap.records = [Tlv(SUCCESSOR, new) if r.type == SUCCESSOR else r for r in frozen.bitmap.records]
        frozen.entry = None
    bitmap.name = new
    item.entry = None


def resize(state: State, name: str, size: str, *new_area: str) -> None:
    item = state.find(unquote_to_bytes(name))
    bitmap = item.usable()
    if new_area not in ((), ("clean",)):
        usage("QDB-ERR-041")
    old, new, g = bitmap.size, number(size), bitmap.granularity
    check_shape(new, g)
    if old == new:
        return
    if bitmap.flags & FROZEN or frozen_before(state, bitmap.name):
        usage("QDB-FLG-013", bitmap=bitmap)
    bits = bits_of(new, g)
    if new > old and not new_area:  # QDB-DRT-006; with the caller's word the old end's granule stays as it was (QDB-DRT-008)
        bitmap.runs = b.union(bitmap.runs, [(old // g, bits)])
    bitmap.runs = b.clip(bitmap.runs, bits)
    bitmap.size = new
    item.entry = None


def regranulate(state: State, name: str, granularity: str) -> None:
    item = state.find(unquote_to_bytes(name))
    bitmap = item.usable()
    new = number(granularity)
    check_shape(bitmap.size, new)
    if new != bitmap.granularity:
        bitmap.runs = regranulated(bitmap.runs, bitmap.granularity, new, bitmap.size)
        bitmap.granularity = new
        item.entry = None


def freeze(state: State, name: str, successor: str) -> None:
    item = state.find(unquote_to_bytes(name))
    bitmap = item.usable()
    if bitmap.flags & FROZEN or frozen_before(state, bitmap.name):
        usage("QDB-FLG-012", bitmap=bitmap)
    new = new_name(state, successor)
    bitmap.flags = bitmap.flags & ~ENABLED | FROZEN  # QDB-FLG-008
    bitmap.records = [*bitmap.records, Tlv(SUCCESSOR, new)]  # QDB-FLG-009
    item.entry = None
    state.items.append(Item(Bitmap(new, bitmap.size, bitmap.granularity, ENABLED)))


def release(state: State, name: str, outcome: str) -> None:
    item = state.find(unquote_to_bytes(name))
    bitmap = item.usable()
    if not bitmap.flags & FROZEN or outcome not in ("done", "failed"):
        usage("QDB-ERR-041", "not frozen", bitmap)
    if outcome == "failed":  # QDB-FLG-007
        successor = next(record.data for record in bitmap.records if record.type == SUCCESSOR)
        target = state.find(successor)
        into = target.usable()
        state.source(item)
        set_runs(target, b.union(into.runs, regranulated(bitmap.runs, bitmap.granularity, into.granularity, into.size)))
    state.items.remove(item)  # QDB-FLG-006


OPERATIONS = {
    "add": add,
    "remove": remove,
    "clear": clear,
    "invert": invert,
    "mark": mark,
    "unmark": unmark,
    "mark-all": mark_all,
    "begin-session": begin_session,
    "end-session": end_session,
    "enable": lambda state, name: set_enabled(state, name, True),
    "disable": lambda state, name: set_enabled(state, name, False),
    "merge": lambda state, name, source: combine(state, name, source, "merge"),
    "intersect": lambda state, name, source: combine(state, name, source, "intersect"),
    "subtract": lambda state, name, source: combine(state, name, source, "subtract"),
    "xor": lambda state, name, source: combine(state, name, source, "xor"),
    "rename": rename,
    "resize": resize,
    "regranulate": regranulate,
    "freeze": freeze,
    "release": release,
}


def script(text: str) -> list[list[str]]:
    lines = (line.split("#", 1)[0].split() for line in text.splitlines())
    return [line for line in lines if line]


def created(words: list[str]) -> State:
    """`create CLUSTER_BITS [draft] [all-ones]`: what `-` begins with."""
    if words[:1] != ["create"] or len(words) < 2 or not set(words[2:]) <= {"draft", "all-ones"}:
        usage("QDB-ERR-041", "a script that begins with nothing begins with create")
    return State("draft" if "draft" in words else "full", number(words[1]), int("all-ones" in words))


def apply(state: State, lines: list[list[str]]) -> None:
    for verb, *args in lines:
        try:
            operation = OPERATIONS[verb]
        except KeyError:
            usage("QDB-ERR-041", f"no operation {verb}")
        try:
            operation(state, *args)
        except TypeError:
            usage("QDB-ERR-041", f"wrong number of words behind {verb}")
