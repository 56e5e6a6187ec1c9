import type { Digests } from "../ports/digest.ts";

/** What a session needs from its caller. */
export interface SessionOptions {
  readonly digests: Digests;
  /** 16 random bytes, different for each session. */
  readonly writerId: Uint8Array;
  /** Whether the session is for a repair. Only a repair opens a file by its mirror if the primary does not begin with the magic. */
  readonly repair: boolean;
  /** Whether the length of the file is fixed, like that of a device. A file of fixed length is never cut or packed. */
  readonly fixedSize?: boolean | undefined;
}
