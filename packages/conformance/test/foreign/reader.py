#!/usr/bin/env python3
# SPDX-License-Identifier: CC0-1.0 OR MIT
# The first half hour of an implementer: hello, the magic, the version. See conformance/IMPLEMENTERS.md.
import json
import sys


def read(path):
    with open(path, "rb") as file:
        head = file.read(8)
    if head[:4] != b"QDB\0":
        return {"ok": False, "error": "BAD_MAGIC"}
    if head[4:8] != b"\0\0\0\1":
        return {"ok": False, "error": "UNSUPPORTED_VERSION"}
    return {"ok": True, "model": {}}


def answer(verb, *words):
    if verb == "hello":
        about = {"protocol": 1, "name": "forty-lines", "version": "0.1", "spec": [1]}
        return {"ok": True, "profiles": ["read"], "features": [], **about}
    if verb == "read" and len(words) == 1:
        return read(words[0])
    return {"skip": "not written yet"}


def main(words):
    if words != ["serve"]:
        said = answer(*words)
        print(json.dumps(said))
        return 3 if "skip" in said else 0 if said["ok"] else 1
    for line in sys.stdin:
        number, *fields = line.rstrip("\n").split("\t")
        print(json.dumps({"id": number, **answer(*fields)}), flush=True)
    return 0


sys.exit(main(sys.argv[1:]))
