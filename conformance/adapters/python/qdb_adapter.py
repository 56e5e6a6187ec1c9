#!/usr/bin/env python3
# SPDX-License-Identifier: CC0-1.0 OR MIT
"""
The reference in Python behind the protocol of the conformance suite (../../IMPLEMENTERS.md).

    qdb_adapter.py [--reference FOLDER] serve            requests from standard input
    qdb_adapter.py [--reference FOLDER] VERB ARGUMENT... one request
"""

import json
import mmap
import os
import sys
from pathlib import Path

sys.dont_write_bytecode = True  # leaves nothing beside the sources
REFERENCE = Path(__file__).resolve().parents[2] / "reference"
if sys.argv[1:2] == ["--reference"]:
    REFERENCE = Path(sys.argv[2]).resolve()
    del sys.argv[1:3]
sys.path.insert(0, str(REFERENCE))

from qdb_ref import cli  # noqa: E402
from qdb_ref.canonical import canonical  # noqa: E402
from qdb_ref.check import check  # noqa: E402
from qdb_ref.jsonform import dump  # noqa: E402
from qdb_ref.model import Reject  # noqa: E402
from qdb_ref.operations import script  # noqa: E402
from qdb_ref.reading import read_file  # noqa: E402
from qdb_ref.repair import repair  # noqa: E402

LARGE = 1 << 20


def bytes_of(path: str):
    """The bytes of a file; a large one, which is mostly holes, is mapped and not read."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size > LARGE:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
        return file.read()


def hello() -> dict:
    return {
        "protocol": 1,
        "name": "qdb-reference-python",
        "version": "1.0.0",
        "spec": [1],
        "profiles": ["read", "check", "write", "update", "repair"],
        "features": [],
    }


def answer_check(path: str) -> dict:
    result = check(bytes_of(path))
    return {"findings": [finding.form() for finding in result.findings], "complete": result.complete}


def answer_canon(path: str, out: str) -> dict:
    cli.write_bytes(out, canonical(cli.given(bytes_of(path))))
    return {}


def answer_repair(path: str, out: str) -> dict:
    data, _, left = repair(bytes_of(path))
    cli.write_bytes(out, data)
    return {"findings": [finding.form() for finding in left]}


def answer_apply(path: str, operations: str, out: str) -> dict:
    lines = script(Path(operations).read_text(encoding="utf-8"))
    cli.write_bytes(out, cli.applied(path, lines))
    return {}


VERBS = {
    "hello": (0, hello),
    "read": (1, lambda path: {"model": dump(read_file(bytes_of(path)))}),
    "check": (1, answer_check),
    "canon": (2, answer_canon),
    "repair": (2, answer_repair),
    "apply": (3, answer_apply),
}


def answer(verb: str, arguments: list[str]) -> dict:
    known = VERBS.get(verb)
    if known is None or len(arguments) != known[0]:
        return {"skip": f"no verb {verb} of {len(arguments)} arguments"}
    try:
        return {"ok": True} | known[1](*arguments)
    except Reject as refusal:
        problem = refusal.problem
        error = {"ok": False, "error": problem.code, "requirement": problem.requirement}
        return error if problem.offset is None else error | {"offset": str(problem.offset)}
    except FileNotFoundError as error:
        return {"ok": False, "error": "NOT_FOUND", "message": str(error)}
    except OSError as error:
        return {"ok": False, "error": "IO", "message": str(error)}


def put(form: dict) -> None:
    sys.stdout.write(json.dumps(form, ensure_ascii=False) + "\n")
    sys.stdout.flush()


def main(words: list[str]) -> int:
    sys.stdout.reconfigure(encoding="utf-8")
    if words == ["serve"]:
        for line in sys.stdin:
            number, verb, *arguments = line.rstrip("\n").split("\t")
            put({"id": number} | answer(verb, arguments))
        return 0
    if not words:
        sys.stderr.write(__doc__)
        return 2
    form = answer(words[0], words[1:])
    put(form)
    return 3 if "skip" in form else 0 if form["ok"] else 1


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
