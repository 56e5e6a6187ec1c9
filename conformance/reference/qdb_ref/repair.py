# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Repair (section 7.3): a commit like any other, which can add dirt and never takes any away."""

from . import bits as b
from .check import Finding, about_bits, can_be_mended, check
from .commit import Disk, Handle
from .l1 import ONES, ZEROS, named_cluster
from .model import Entry, QdbFile, Reject
from .reading import add_run
from .state import Item, State, state_of


def repair(data: bytes, writer_id: bytes | None = None) -> tuple[bytes, list[Finding], list[Finding]]:
    """The file after a repair, what was found before, and what is left."""
    before = check(data)
    file = before.file
    disk = Disk(data)
    try:
        handle = Handle(disk, repair=True, writer_id=writer_id)
    except Reject:
        return data, before.findings, before.findings
    repairable = [finding for finding in before.findings if finding.repairable]
    items = mended(file) if repairable else []
    handle.fence()  # where there is nothing to repair too (QDB-CMT-021)
    if any(finding.problem.code != "LEAK" for finding in repairable):
        handle.commit(items)  # puts a bad primary or mirror right too, never by a copy (QDB-OPN-025)
    if repairable:
        handle.cut()
    return bytes(disk.data), before.findings, check(bytes(disk.data)).findings


def mended(file: QdbFile) -> list[Item]:
    state: State = state_of(file)
    for item in state.items:
        entry = item.entry
        assert entry is not None
        if not can_be_mended(entry):
            continue  # in error for another reason: copied (QDB-CMT-091)
        bad_l1 = any(about_bits(problem) and problem.structure != "data cluster" for _, problem in entry.problems)
        if bad_l1:
            item.bitmap.runs = b.whole(item.bitmap.bits)
        elif entry.bad_clusters or has_padding(file, entry):
            item.bitmap.runs = doubted(file, entry)
        else:
            continue
        item.entry = item.problem = None  # in_use stays: it is a flag, and flags are kept
    return state.items


def has_padding(file: QdbFile, entry: Entry) -> bool:
    """Whether padding or a tail is not zero: written anew, both become zero."""
    if entry.records_padding or any(entry.padding):
        return True
    if entry.l1_area is not None and any(entry.l1_area[12 * entry.l1_size :]):
        return True
    cluster = file.header.cluster
    for number, descriptor in enumerate(entry.descriptors):
        if descriptor & (ZEROS | ONES) or not named_cluster(descriptor):
            continue
        at = named_cluster(descriptor)
        behind = entry.bits - 8 * cluster * number
        if behind < 8 * cluster and int.from_bytes(file.data[at : at + cluster], "little") >> behind:
            return True
    return False


def doubted(file: QdbFile, entry: Entry) -> b.Runs:
    """The bits, and the whole range of each data cluster that does not match its checksum (QDB-DRT-009)."""
    per_cluster = 8 * file.header.cluster
    runs: b.Runs = []
    for number, descriptor in enumerate(entry.descriptors):
        first = number * per_cluster
        at = named_cluster(descriptor)
        if number in entry.bad_clusters or descriptor & ONES:
            found = [(0, per_cluster)]
        elif descriptor & ZEROS or not at:
            found = []
        else:
            found = b.runs_of_bytes(file.data[at : at + file.header.cluster])
        for start, end in found:
            end = min(first + end, entry.bits)
            if first + start < end:
                add_run(runs, first + start, end)
    return runs

