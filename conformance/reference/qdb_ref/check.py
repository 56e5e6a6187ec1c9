# SPDX-License-Identifier: CC0-1.0 OR MIT
"""Section 7.3: every finding of a file."""

import unicodedata
from dataclasses import dataclass

from .extensions import breaks_rules
from .l1 import named_cluster, owners_of, read_good, reads_cluster
from .model import AREA, Entry, Problem, QdbFile, Reject
from .numbers import align, nonzero, utf8
from .reading import examine
from .records import STAMP, SUCCESSOR, breaks_rule

REFUSED = ("BAD_MAGIC", "UNSUPPORTED_VERSION", "UNSUPPORTED_FEATURE")  # QDB-ERR-033


@dataclass
class Finding:
    problem: Problem
    severity: str
    repairable: bool = False
    index: int | None = None  # place in the table of the bitmap concerned

    def form(self) -> dict:
        problem = self.problem
        return {
            "code": problem.code,
            "severity": self.severity,
            "message": f"{problem.requirement}: {problem.structure} {problem.field}".rstrip(),
            "where": problem.where(),
            "repairable": self.repairable,
        }


@dataclass
class Checked:
    file: QdbFile | None
    findings: list[Finding]
    complete: bool

    def counts(self) -> dict[str, int]:
        severities = ("corrupt", "unsafe", "leak", "noncanonical", "info")
        return {s: sum(f.severity == s for f in self.findings) for s in severities}

    def exit_code(self) -> int:
        counts = self.counts()
        if counts["corrupt"] or counts["unsafe"]:
            return 2
        return 3 if counts["leak"] else 0

    def form(self) -> dict:
        counts = self.counts()
        return {
            "findings": [finding.form() for finding in self.findings],
            "counts": counts,
            "clean": not (counts["corrupt"] or counts["unsafe"] or counts["leak"]),
            "complete": self.complete,
        }


def severity_of(problem: Problem) -> str:
    if problem.code in ("INCONSISTENT", "UNSUPPORTED_FEATURE"):
        return "unsafe"  # QDB-ERR-030
    return "corrupt"  # QDB-ERR-031


def check(data: bytes) -> Checked:
    """Every finding (QDB-ERR-024). Raises what keeps the file from being checked."""
    try:
        file = examine(data)
    except Reject as refusal:
        if refusal.problem.code in REFUSED:  # QDB-ERR-033
            raise
        return Checked(None, [Finding(refusal.problem, severity_of(refusal.problem))], False)

    findings = [Finding(problem, severity_of(problem)) for problem in file.problems]
    if file.header_offset:  # QDB-ERR-034
        damage = Problem("BAD_CHECKSUM", "QDB-ERR-034", "header", offset=0)
        findings.insert(0, Finding(damage, "corrupt"))
    for entry in file.entries:
        findings += [Finding(problem, severity_of(problem), index=entry.index) for problem in entry.ordered()]
    findings += no_errors(file)
    mark_repairable(file, findings)
    complete = not file.problems and all(entry.l1_good for entry in file.entries)
    return Checked(file, findings, complete)


def add(findings: list[Finding], code: str, severity: str, requirement: str, structure: str, offset, entry: Entry | None = None) -> None:
    bitmap = entry.label() if entry else None
    problem = Problem(code, requirement, structure, offset=offset, bitmap=bitmap)
    findings.append(Finding(problem, severity, index=entry.index if entry else None))


def no_errors(file: QdbFile) -> list[Finding]:
    """Findings that are no errors (QDB-ERR-032)."""
    out: list[Finding] = []
    header = file.header
    if not header.full:
        add(out, "UNPROTECTED", "info", "QDB-HDR-045", "header", 0)
    elif file.header_offset == 0 and 9 <= header.cluster_bits <= 21:
        if file.data[header.h : header.h + AREA] != file.area:  # bad or different (QDB-OPN-015)
            add(out, "MIRROR", "info", "QDB-OPN-016", "mirror", header.h)
    for offset in file.header_padding:
        add(out, "PADDING", "noncanonical", "QDB-GEN-013", "header", offset)
    for extension in file.extensions:
        if breaks_rules(extension):
            add(out, "BAD_RECORD", "noncanonical", "QDB-EXT-019", "extension", extension.offset)
    for entry in file.entries:
        findings_of_entry(file, entry, out)
    name_twins(file, out)
    leak(file, out)
    return out


def findings_of_entry(file: QdbFile, entry: Entry, out: list[Finding]) -> None:
    for record in entry.records or []:
        if record.type == SUCCESSOR:
            continue  # one that breaks its rule is an error: QDB-REC-009
        if breaks_rule(record):
            severity = "unsafe" if record.type == STAMP else "noncanonical"  # QDB-REC-013
            add(out, "BAD_RECORD", severity, "QDB-REC-008", "record", record.offset, entry)
    for offset in entry.records_padding:
        add(out, "PADDING", "noncanonical", "QDB-GEN-013", "extra data", offset, entry)
    for offset in nonzero(entry.padding, 0, len(entry.padding), entry.offset + entry.length - len(entry.padding)):
        add(out, "PADDING", "noncanonical", "QDB-GEN-013", "bitmap table entry", offset, entry)
    if entry.descriptors and file.header.full:
        used = 12 * entry.l1_size
        for offset in nonzero(entry.l1_area, used, len(entry.l1_area), entry.l1_table_offset):
            add(out, "PADDING", "noncanonical", "QDB-GEN-013", "L1 area", offset, entry)
    tail(file, entry, out)


def tail(file: QdbFile, entry: Entry, out: list[Finding]) -> None:
    """QDB-MAP-020, of a cluster that can be trusted to be this bitmap's."""
    cluster = file.header.cluster
    if not entry.descriptors or not entry.l1_good or entry.bits is None:
        return
    last = len(entry.descriptors) - 1
    descriptor = entry.descriptors[last]
    if not reads_cluster(descriptor) or last in entry.bad_clusters:
        return
    at = named_cluster(descriptor)
    data = file.data[at : at + cluster]
    behind = entry.bits - 8 * cluster * last
    if int.from_bytes(data, "little") >> behind:
        add(out, "TAIL", "noncanonical", "QDB-MAP-020", "data cluster", at, entry)


def name_twins(file: QdbFile, out: list[Finding]) -> None:
    """QDB-TBL-022: names that are different bytes, but equal under NFC; reported at the later one."""
    seen: dict[str, set[bytes]] = {}
    for entry in file.entries:
        text = utf8(entry.name)
        if text is None:
            continue
        names = seen.setdefault(unicodedata.normalize("NFC", text), set())
        if names and entry.name not in names:
            add(out, "NAME_TWINS", "info", "QDB-TBL-022", "bitmap table entry", entry.offset + 40 + entry.extra_data_size, entry)
        names.add(entry.name)


def leak(file: QdbFile, out: list[Finding]) -> None:
    """What lies behind the last cluster in use (QDB-OWN-014), all L1 areas being good."""
    if not file.table_walked or not 9 <= file.header.cluster_bits <= 21 or not all(read_good(entry) for entry in file.entries):
        return
    cluster = file.header.cluster
    end = align((max(owners_of(file)) + 1) * cluster, max(cluster, 4096))  # where a cut may end: QDB-CMT-086
    if len(file.data) > end:
        add(out, "LEAK", "leak", "QDB-OWN-014", "file", end)


def about_bits(problem: Problem) -> bool:
    """Whether it is an error of an L1 area or of a data cluster: making dirty what it says puts it right (section 7.3)."""
    if problem.code == "OVERLAP":
        return True
    if problem.structure in ("L1 entry", "L1 checksum", "data cluster"):
        return True
    place = ("QDB-TBL-001", "QDB-TBL-002", "QDB-TBL-007", "QDB-TBL-014", "QDB-TBL-016", "QDB-OWN-011")
    return problem.requirement in place


def can_be_mended(entry: Entry) -> bool:
    """Whether a repair may write the entry anew: it is in no error but of its bits, in_use excepted, which stays."""
    return all(about_bits(p) or p.code == "INCONSISTENT" for _, p in entry.problems) and entry.bits is not None


def may_be_written(file: QdbFile) -> bool:
    """Not a file whose header or table is in error (QDB-CMT-046)."""
    if file.problems or file.header.generation == (1 << 64) - 1:  # a repair is a commit (QDB-HDR-027)
        return False
    # Draft form is not changed in place (QDB-HDR-046); whether a repair rewrites it is not said.
    return file.header.full


def mark_repairable(file: QdbFile, findings: list[Finding]) -> None:
    """Whether a repair puts a finding right (section 7.3)."""
    if not may_be_written(file):
        return
    for finding in findings:
        problem = finding.problem
        if problem.code in ("LEAK", "MIRROR") or problem.requirement == "QDB-ERR-034":
            finding.repairable = True
        elif finding.index is None:
            finding.repairable = problem.code == "PADDING"
        elif problem.code in ("PADDING", "TAIL") or about_bits(problem):
            finding.repairable = can_be_mended(file.entries[finding.index])
