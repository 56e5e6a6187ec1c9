import type { Problem, QdbErrorCode } from "../errors.ts";

/**
 * How bad a finding is. `qdb check` exits with 2 if one is `corrupt` or `unsafe`, else with 3 if one is a `leak`, else with 0 (spec §7).
 */
export type Severity = "corrupt" | "unsafe" | "leak" | "noncanonical" | "info";

/** Codes of findings: the codes of errors, and the codes of findings that are not errors (spec §7). */
export type FindingCode =
  | QdbErrorCode
  | "LEAK"
  | "PADDING"
  | "TAIL"
  | "BAD_RECORD"
  | "NAME_TWINS"
  | "MIRROR"
  | "UNPROTECTED";

/** An error of a file, or another fact about it, that a check reports. */
export interface Finding {
  readonly code: FindingCode;
  readonly severity: Severity;
  readonly message: string;
  readonly where: Problem["where"];
  /** Whether `qdb check -r` can remove the finding without losing a dirty bit. */
  readonly repairable: boolean;
}

/** Number of findings of each severity. */
export type SeverityCounts = Record<Severity, number>;

/** Makes a finding. By default it is repairable if its severity is `noncanonical` or `leak`. */
export function finding(
  code: FindingCode,
  severity: Severity,
  message: string,
  where: Problem["where"],
  repairable = severity === "noncanonical" || severity === "leak",
): Finding {
  return { code, severity, message, where, repairable };
}

/** Makes the finding for an error: `unsafe` for INCONSISTENT and for UNSUPPORTED_FEATURE of a bitmap, otherwise `corrupt` (spec §7). */
export function findingOf(problem: Problem, repairable: boolean): Finding {
  const { code, message, where } = problem;
  // UNSUPPORTED_FEATURE of the file is no finding: the file cannot be checked then.
  const unsafe = code === "INCONSISTENT" || code === "UNSUPPORTED_FEATURE";
  return { code, severity: unsafe ? "unsafe" : "corrupt", message, where, repairable };
}
