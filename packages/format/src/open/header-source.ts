import { QdbError } from "../errors.ts";
import type { OpenedHeader } from "./choose-header.ts";
import type { HeaderArea } from "./header-rules.ts";

/** Which copy of the header a file was read by: the mirror, where the primary is damaged or cannot be read. */
export type HeaderSource = "primary" | "mirror";

/** Which copy a header is. */
export function sourceOf({ offset }: Pick<HeaderArea, "offset">): HeaderSource {
  return offset === 0 ? "primary" : "mirror";
}

/** What is done with bits that were found through the mirror. */
export interface MirrorOptions {
  /**
   * Whether bits are given out although the header was read from the mirror. It can be that of a commit that was cut off: what that
   * was to clear shows as clean, although it was never acknowledged (spec §5, What remains). Without it such bits are refused.
   */
  readonly acceptMirror?: boolean;
}

/** Refuses bits that were found through the mirror, unless that is accepted. @throws {QdbError} BAD_CHECKSUM */
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
