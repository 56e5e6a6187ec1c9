# SPDX-License-Identifier: CC0-1.0 OR MIT
"""A slow, literal reference of the QDB file format, written from the text of spec/qdb.md alone."""
