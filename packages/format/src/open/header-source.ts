import { QdbError } from "../errors.ts";
import type { OpenedHeader } from "./choose-header.ts";
import type { HeaderArea } from "./header-rules.ts";

/** A copy of the header. The mirror is used if the primary is damaged or cannot be read. */
export type HeaderSource = "primary" | "mirror";

/** Returns which copy of the header a header area is. */
export function sourceOf({ offset }: Pick<HeaderArea, "offset">): HeaderSource {
  return offset === 0 ? "primary" : "mirror";
}

/** The option that decides whether bits are given out if the header was read from the mirror. */
export interface MirrorOptions {
  /**
   * Whether to give bits out even if the header was read from the mirror (default false). An interrupted commit may have written the
   * mirror: bits that the commit was to clear are then clean, although the commit was never acknowledged (spec §5, What remains).
   */
  readonly acceptMirror?: boolean | undefined;
}

/**
 * Refuses to give bits out if the header was read from the mirror.
 * @throws {QdbError} BAD_CHECKSUM if the header was read from the mirror and `acceptMirror` is not set
 */
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
