#!/usr/bin/env python3
# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Reads, checks, writes, changes and repairs QDB files, slowly and literally: see README.md."""

import sys

sys.dont_write_bytecode = True  # leaves nothing beside the sources

from qdb_ref.cli import main  # noqa: E402

if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
