# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Sets of dirty bits as runs [first, end): ascending, not touching each other (QDB-BND-005)."""

import re

Runs = list[tuple[int, int]]


def runs_of_bytes(data: bytes) -> Runs:
    """Bit n stands in byte n / 8 at value 1 << (n % 8) (QDB-GEN-003)."""
    text = f"{int.from_bytes(data, 'little'):b}"[::-1]
    return [match.span() for match in re.finditer("1+", text)]


def bytes_of_runs(runs: Runs, first: int, length: int) -> bytes:
    """`length` bytes of bitmap data from bit `first` on (QDB-GEN-003)."""
    end = first + 8 * length
    value = 0
    for start, stop in runs:
        low, high = max(start, first), min(stop, end)
        if low < high:
            value |= ((1 << (high - low)) - 1) << (low - first)
    return value.to_bytes(length, "little")


def combine(a: Runs, b: Runs, keep) -> Runs:
    """The bits for which keep(in a, in b) is true; keep(False, False) must be false."""
    edges: dict[int, list[int]] = {}
    for which, runs in ((0, a), (1, b)):
        for first, end in runs:
            edges.setdefault(first, []).append(which)
            edges.setdefault(end, []).append(which)
    state = [False, False]
    out: Runs = []
    start = None
    for at in sorted(edges):
        for which in edges[at]:
            state[which] = not state[which]
        now = keep(state[0], state[1])
        if now and start is None:
            start = at
        elif not now and start is not None:
            out.append((start, at))
            start = None
    return out


def union(a: Runs, b: Runs) -> Runs:
    return combine(a, b, lambda x, y: x or y)


def subtract(a: Runs, b: Runs) -> Runs:
    return combine(a, b, lambda x, y: x and not y)


def intersect(a: Runs, b: Runs) -> Runs:
    return combine(a, b, lambda x, y: x and y)


def xor(a: Runs, b: Runs) -> Runs:
    return combine(a, b, lambda x, y: x != y)


def whole(bits: int) -> Runs:
    return [(0, bits)] if bits else []


def normal(runs: Runs) -> Runs:
    """Runs in any order, which can touch and overlap, as a set."""
    out: Runs = []
    for first, end in sorted(run for run in runs if run[0] < run[1]):
        if out and first <= out[-1][1]:
            out[-1] = (out[-1][0], max(out[-1][1], end))
        else:
            out.append((first, end))
    return out


def clip(runs: Runs, end: int) -> Runs:
    return intersect(runs, whole(end))


def count(runs: Runs) -> int:
    return sum(end - first for first, end in runs)
