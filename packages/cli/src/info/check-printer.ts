import { type CheckSummary, type Finding, quote } from "@qdb/format";
import type { Severity } from "@qdb/format/container";
import type { Call } from "../shell/command.ts";
import { errorLine, whereJson } from "../shell/errors.ts";
import { type Json, jsonLine, jsonText } from "../shell/json.ts";
import type { Colors } from "../shell/terminal.ts";

/** Prints the findings of a check, one by one. */
export interface CheckPrinter {
  /** Prints a finding. `repaired` says whether a repair removed it; undefined for a check without a repair. */
  finding(finding: Finding, repaired?: boolean): void;
  /** Prints the summary after the last finding. */
  end(summary: CheckSummary): void;
}

/** Returns a printer for the output format of the call. */
export function checkPrinter(path: string, call: Call): CheckPrinter {
  return call.json ? new JsonPrinter(path, call) : new TextPrinter(path, call);
}

/** Whether no finding is worse than noncanonical: none is corrupt, unsafe or a leak. */
export function isClean({ corrupt, unsafe, leak }: CheckSummary["counts"]): boolean {
  return corrupt + unsafe + leak === 0;
}

/** Prints the document of `spec/schema/check.schema.json`. Each finding is printed as soon as it is found. */
class JsonPrinter implements CheckPrinter {
  readonly #call: Call;
  #separator = "\n";

  constructor(path: string, call: Call) {
    this.#call = call;
    call.output.text(`{\n  "filename": ${jsonLine(path)},\n  "findings": [`);
  }

  finding({ code, severity, message, where, repairable }: Finding, repaired?: boolean): void {
    const value: Json = { code, severity, message, where: whereJson(where), repairable, repaired };
    this.#call.output.text(`${this.#separator}    ${jsonText(value, "    ")}`);
    this.#separator = ",\n";
  }

  end({ counts, complete, headerSource: header_source }: CheckSummary): void {
    const { corrupt, unsafe, leak, noncanonical, info } = counts;
    const end = {
      header_source,
      counts: { corrupt, unsafe, leak, noncanonical, info },
      clean: isClean(counts),
      complete,
    };
    const list = this.#separator === "\n" ? "]" : "\n  ]";
    this.#call.output.line(`${list},\n${jsonText(end).slice(2)}`);
  }
}

class TextPrinter implements CheckPrinter {
  readonly #path: string;
  readonly #call: Call;
  #repaired = 0;

  constructor(path: string, call: Call) {
    this.#path = path;
    this.#call = call;
  }

  finding({ code, severity, message, where, repairable }: Finding, repaired?: boolean): void {
    const color = colorOf(severity, this.#call.output.colors);
    if (repaired === true) this.#repaired++;
    this.#call.output.line(`${color(severity)}: ${errorLine({ code, message, where })}${endOf(repairable, repaired)}`);
  }

  end({ counts, complete }: CheckSummary): void {
    const { output } = this.#call;
    const isRepair = this.#repaired > 0;
    if (isRepair) output.line(`Repaired: ${this.#repaired}.`);
    const found = Object.entries(counts).filter(([, count]) => count > 0);
    if (isClean(counts)) output.line(`No errors ${isRepair ? "are left" : "were found"} in ${quote(this.#path)}.`);
    const list = found.map(([severity, count]) => `${count} ${severity}`).join(", ");
    if (found.length > 0) output.line(`${isRepair ? "Left" : "Findings"}: ${list}.`);
    if (!complete) output.line("An error kept the check from looking at what comes after it.");
  }
}

function endOf(repairable: boolean, repaired: boolean | undefined): string {
  if (repaired === undefined) return repairable ? "; repairable" : "";
  return repaired ? "; repaired" : "; not repaired";
}

function colorOf(severity: Severity, colors: Colors): (text: string) => string {
  if (severity === "corrupt" || severity === "unsafe") return colors.red;
  return severity === "leak" ? colors.yellow : colors.dim;
}
