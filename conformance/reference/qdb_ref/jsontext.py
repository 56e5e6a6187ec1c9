# SPDX-License-Identifier: CC0-1.0 OR MIT
"""JSON text, and the syntax of the values of section 6; every refusal is USAGE with the place in the JSON (QDB-JSN-048)."""

import json
import re

from .model import reject


class Pairs(list):
    """An object as its keys stand in the text, duplicates too."""


def usage(requirement: str, place: str, message: str = "") -> None:
    reject("USAGE", requirement, place or "$", message=message)


def parse(text: str):
    def number(token: str):
        value = float(token)
        return int(value) if value.is_integer() else value  # 1.0 and 1e3 are integers in JSON Schema

    def constant(token: str):
        raise ValueError(f"{token} is no JSON")

    try:
        return json.loads(text, object_pairs_hook=Pairs, parse_float=number, parse_constant=constant)
    except (ValueError, RecursionError, OverflowError) as error:
        usage("QDB-JSN-049", "", f"no JSON: {error}")


def check_text(value, place: str) -> None:
    """No lone surrogate anywhere, in no key either."""
    if isinstance(value, str):
        if any("\ud800" <= c <= "\udfff" for c in value):
            usage("QDB-JSN-046", place)
    elif isinstance(value, Pairs):
        for key, item in value:
            check_text(key, place)
            check_text(item, f"{place}.{key}")
    elif isinstance(value, list):
        for index, item in enumerate(value):
            check_text(item, f"{place}[{index}]")


def an_object(value, place: str, known: dict, required: tuple = ()) -> dict:
    """An object of known keys, none twice, each read by its own function."""
    if not isinstance(value, Pairs):
        usage("QDB-JSN-001", place, "an object is due")
    out: dict = {}
    for key, item in value:
        at = f"{place}.{key}"
        if key in out:
            usage("QDB-JSN-044", at)
        if key not in known:
            usage("QDB-JSN-043" if key == "error" else "QDB-JSN-045", at)
        out[key] = known[key](item, at)
    for key in required:
        if key not in out:
            usage("QDB-JSN-036", f"{place}.{key}")
    return out


def an_array(of, most: int | None = None):
    def read(value, place: str) -> list:
        if not isinstance(value, list) or isinstance(value, Pairs) or (most is not None and len(value) > most):
            usage("QDB-JSN-001", place, "an array is due")
        return [of(item, f"{place}[{index}]") for index, item in enumerate(value)]

    return read


def integer(low: int, high: int, requirement: str = "QDB-JSN-001"):
    def read(value, place: str) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            usage(requirement, place)
        return value

    return read


def matching(pattern: str, requirement: str):
    def read(value, place: str) -> str:
        if not isinstance(value, str) or not re.fullmatch(pattern, value):
            usage(requirement, place)
        return value

    return read


def text(value, place: str) -> str:
    if not isinstance(value, str):
        usage("QDB-JSN-001", place)
    return value


def u64(value, place: str) -> int:
    if not isinstance(value, str):
        usage("QDB-JSN-003", place)
    number = int(matching("0|[1-9][0-9]{0,19}", "QDB-JSN-002")(value, place))
    if number >= 1 << 64:
        usage("QDB-JSN-002", place)
    return number


def i64(value, place: str) -> int:
    if not isinstance(value, str):
        usage("QDB-JSN-003", place)
    number = int(matching("0|-?[1-9][0-9]{0,18}", "QDB-JSN-002")(value, place))
    if not -(1 << 63) <= number < 1 << 63:
        usage("QDB-JSN-002", place)
    return number


u32 = integer(0, (1 << 32) - 1)
HEX = "[0-9a-fA-F]"  # QDB-JSN-010
checksum = matching(HEX + "{8}", "QDB-JSN-006")
sha256 = matching(HEX + "{64}", "QDB-JSN-018")


def word(value, place: str) -> int:
    return int(matching("0x" + HEX + "{16}", "QDB-JSN-004")(value, place), 16)


def kind(value, place: str) -> int:
    number = int(matching("0x" + HEX + "{8}", "QDB-JSN-005")(value, place), 16)
    if number == 0:
        usage("QDB-JSN-049", place, "type 0 is the end mark")
    return number


def hexbytes(value, place: str) -> bytes:
    return bytes.fromhex(matching(f"({HEX}{{2}})*", "QDB-JSN-008")(value, place))


def uuid(value, place: str) -> bytes:
    groups = "-".join(f"{HEX}{{{n}}}" for n in (8, 4, 4, 4, 12))
    return bytes.fromhex(matching(groups, "QDB-JSN-007")(value, place).replace("-", ""))
