import { QdbError } from "../errors.ts";
import type { OpenedHeader } from "./choose-header.ts";
import type { HeaderArea } from "./header-rules.ts";

/** The copy of the header that was used: the mirror if the primary is damaged or cannot be read. */
export type HeaderSource = "primary" | "mirror";

/** The copy that a header area is. */
export function sourceOf({ offset }: Pick<HeaderArea, "offset">): HeaderSource {
  return offset === 0 ? "primary" : "mirror";
}

/** Whether bits are given out if the header was read from the mirror. */
export interface MirrorOptions {
  /**
   * Gives bits out even if the header was read from the mirror. The mirror can be that of an interrupted commit: bits that it was to
   * clear show as clean, although the commit was never acknowledged (spec §5, What remains). By default such bits are refused.
   */
  readonly acceptMirror?: boolean;
}

/** Refuses to give bits out if the header was read from the mirror, unless the options accept that. @throws {QdbError} BAD_CHECKSUM */
export function refuseMirror(
  { opened }: { readonly opened: OpenedHeader },
  { acceptMirror = false }: MirrorOptions,
  bitmap?: string,
): void {
  if (acceptMirror || sourceOf(opened) === "primary") return;
  const { unread } = opened.primary;
  const what = unread === undefined ? "is damaged" : `cannot be read (${unread.message})`;
  throw new QdbError(
    "BAD_CHECKSUM",
    `the header ${what} and its mirror was used: bits that show as clean can be those of a change that was never acknowledged; repair the file with qdb check -r`,
    { structure: "mirror", offset: opened.offset, ...(bitmap === undefined ? {} : { bitmap }) },
  );
}
