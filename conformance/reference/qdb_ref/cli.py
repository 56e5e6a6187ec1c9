# SPDX-License-Identifier: CC0-1.0 OR MIT
"""The command line: see README.md."""

import json
import sys

from .canonical import canonical
from .check import check
from .commit import update
from .contents import contents_of
from .jsonform import dump
from .load import load
from .model import Problem, Reject
from .operations import apply, created, script
from .reading import read_file
from .repair import repair
from .rules import first_broken
from .state import state_of

USAGE = """qdb_ref.py read FILE               the JSON form
qdb_ref.py check FILE              every finding
qdb_ref.py canon FILE|JSON OUT     the canonical file of the same contents
qdb_ref.py apply IN|- OPS OUT      the file after a script of operations
qdb_ref.py repair IN OUT           the file after a repair
"""


def read_bytes(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read()


def write_bytes(path: str, data: bytes) -> None:
    with open(path, "wb") as file:
        file.write(data)


def put(form) -> None:
    json.dump(form, sys.stdout, ensure_ascii=False)
    sys.stdout.write("\n")


def main(args: list[str]) -> int:
    sys.stdout.reconfigure(encoding="utf-8")
    try:
        return run(args)
    except Reject as refusal:
        put({"error": refusal.problem.form()})
        return 1
    except FileNotFoundError as error:
        put({"error": Problem("NOT_FOUND", "QDB-ERR-005", str(error.filename)).form()})
        return 1
    except OSError as error:
        put({"error": Problem("IO", "QDB-ERR-007", str(error.filename)).form()})
        return 1


def run(args: list[str]) -> int:
    match args:
        case ["read", path]:
            put(dump(read_file(read_bytes(path))))
        case ["check", path]:
            result = check(read_bytes(path))
            put(result.form())
            return result.exit_code()
        case ["canon", source, out]:
            write_bytes(out, canonical(given(read_bytes(source))))
        case ["apply", source, operations, out]:
            write_bytes(out, applied(source, script(read_bytes(operations).decode("utf-8"))))
        case ["repair", source, out]:
            data, _, after = repair(read_bytes(source))
            write_bytes(out, data)
            put({"findings": [finding.form() for finding in after]})
        case _:
            sys.stderr.write(USAGE)
            return 2
    return 0


def given(data: bytes):
    """The contents of a QDB file, or of a document of the JSON form."""
    if data.lstrip()[:1] != b"{":
        contents = contents_of(read_file(data))
        broken = first_broken(contents)  # a feature name table that the file lacks may not fit
        if broken is not None:
            raise Reject(broken)
        return contents
    try:
        text = data.decode("utf-8")
    except UnicodeDecodeError:
        raise Reject(Problem("USAGE", "QDB-JSN-049", "$", message="no UTF-8")) from None
    return load(text)


def applied(source: str, lines: list[list[str]]) -> bytes:
    """The file after a script: written whole, or changed by a commit."""
    if source == "-":
        state = created(lines[0] if lines else [])
        apply(state, lines[1:])
        return whole(state)
    data = read_bytes(source)
    state = state_of(read_file(data))
    apply(state, lines)
    if state.form == "full":
        return bytes(update(data, state).data)
    if state.same_as_file():
        return data
    state.form = "full"  # an update of a draft rewrites it, in full form (QDB-HDR-047, QDB-HDR-048)
    return whole(state)


def whole(state) -> bytes:
    contents = state.contents()
    broken = first_broken(contents)
    if broken is not None:
        raise Reject(broken)
    return canonical(contents)
