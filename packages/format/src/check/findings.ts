import type { Problem, QdbErrorCode } from "../errors.ts";

/** How bad a finding is. Findings that are `corrupt` or `unsafe` make `qdb check` exit with 2, `leak` with 3, the others with 0. */
export type Severity = "corrupt" | "unsafe" | "leak" | "noncanonical" | "info";

/** Codes of findings: those of errors, and some that are no errors (spec §7). */
export type FindingCode =
  | QdbErrorCode
  | "LEAK"
  | "PADDING"
  | "TAIL"
  | "BAD_RECORD"
  | "NAME_TWINS"
  | "MIRROR"
  | "UNPROTECTED";

/** Something that a check found. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  readonly message: string;
  readonly where: Problem["where"];
  /** Whether `qdb check -r` can repair it without losing a dirty bit. */
  readonly repairable: boolean;
}

/** Number of findings of each severity. */
export type SeverityCounts = Record<Severity, number>;

/** Makes a finding. By default it is repairable if it is `noncanonical` or a `leak`. */
export function finding(
  code: FindingCode,
  severity: Severity,
  message: string,
  where: Problem["where"],
  repairable = severity === "noncanonical" || severity === "leak",
): Finding {
  return { code, severity, message, where, repairable };
}

/** The finding for an error. A bitmap whose true bits only its collector knows is unsafe, not corrupt. */
export function findingOf(problem: Problem, repairable: boolean): Finding {
  const { code, message, where } = problem;
  const unsafe = code === "INCONSISTENT" || (code === "UNSUPPORTED_FEATURE" && where.field === "flags");
  return { code, severity: unsafe ? "unsafe" : "corrupt", message, where, repairable };
}
