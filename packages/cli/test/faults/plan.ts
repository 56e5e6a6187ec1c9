// Which faults are tried at which call.
import { constants } from "node:os";
import type { CallClass, MadeCall } from "./injector.ts";

/** A fault at a call of the command. */
export interface Injection {
  /** As shim.c has it: AT KIND ERRNO CLASSES. */
  readonly fault: string;
  /** What is done to which kind of call. */
  readonly what: string;
  /** The same with the number of the call, for messages. */
  readonly title: string;
  /**
   * What the command may do: nothing but finish its work (`done`: the fault is none to a program that repeats such calls);
   * finish it or fail (`any`); fail (`fails`); nothing, it is killed.
   */
  readonly expected: "done" | "any" | "fails" | "killed";
  /** What the system says, as messages must name it: by its name, or, where another program says it, in words. */
  readonly errno: string | undefined;
}

type ErrnoName = keyof typeof constants.errno;

/** All that fails for ever: every call but close and lock, as on a disk that is gone. */
const DEAD = "rwfos";

/** The injections at each call of a run without faults, in the order of the calls. */
export function injectionsOf(calls: readonly MadeCall[]): Injection[] {
  return [...calls.flatMap((call, index) => faultsAt(call, index + 1)), ...shortFromStart()];
}

/** Calls that change something, which a kill can come behind. */
const CHANGING: readonly CallClass[] = ["w", "f"];

function faultsAt(call: MadeCall, at: number): Injection[] {
  const injection = (
    kind: string,
    expected: Injection["expected"],
    errno?: ErrnoName,
    classes = "-",
    words = "",
  ): Injection => {
    const what = [call.name, kind, errno ?? "", words].filter((part) => part !== "").join(" ");
    const number = errno === undefined ? 0 : constants.errno[errno];
    return { fault: `${at} ${kind} ${number} ${classes}`, what, title: `call ${at}, ${what}`, expected, errno };
  };
  const isTransfer = ["read", "pread", "write", "pwrite"].includes(call.name);
  const kills = [
    injection("kill", "killed"),
    ...(CHANGING.includes(call.class) ? [injection("killed", "killed")] : []),
    ...(call.class === "w" && isTransfer ? [injection("torn", "killed")] : []),
  ];
  const shorts = isTransfer && call.length > 1 ? [injection("short", "done")] : [];
  const interrupted = injection("error", "done", "EINTR");
  switch (call.class) {
    case "r":
      return [
        injection("error", "any", "EIO"),
        injection("error", "any", "EIO", "r", "for ever"),
        injection("error", "any", "EIO", DEAD, "of all"),
        interrupted,
        ...shorts,
        ...kills,
      ];
    case "w":
      return [
        injection("error", "fails", "EIO"),
        injection("error", "fails", "ENOSPC"),
        injection("error", "fails", "EIO", "wf", "for ever"),
        injection("error", "fails", "ENOSPC", "w", "for ever"),
        injection("error", "fails", "EIO", DEAD, "of all"),
        // A file whose making failed has no maker.
        ...(call.name === "create" ? [] : [injection("late", "fails", "EIO")]),
        ...(isTransfer || call.name === "ftruncate" ? [interrupted] : []),
        ...shorts,
        ...kills,
      ];
    case "f":
      return [
        injection("error", "fails", "EIO"),
        injection("error", "fails", "ENOSPC"),
        injection("error", "fails", "EIO", "wf", "for ever"),
        injection("error", "fails", "EIO", DEAD, "of all"),
        injection("late", "fails", "EIO"),
        interrupted,
        ...kills,
      ];
    case "o":
      return [injection("error", "any", "EIO"), injection("error", "any", "EMFILE"), interrupted, ...kills];
    case "s":
      return [injection("error", "any", "EIO"), injection("error", "any", "EACCES"), ...kills];
    case "c":
      // The file is closed all the same, as Linux does it.
      return [injection("late", "any", "EIO"), ...kills];
    case "l":
      return [{ ...injection("error", "fails", "ENOLCK"), errno: "No locks available" }, ...kills];
  }
}

/** Every read, every write, or both take half of what they are asked for. */
function shortFromStart(): Injection[] {
  return ["r", "w", "rw"].map((classes) => ({
    fault: `1 short 0 ${classes}`,
    what: "short for ever",
    title: `short for ever, classes ${classes}`,
    expected: "done",
    errno: undefined,
  }));
}
