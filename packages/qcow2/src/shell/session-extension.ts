// The header extension of a shell: the session of a QDB file for which QEMU collects in it. QEMU keeps extensions that it does not know.
import { QdbError, type Where } from "@qdb/format";
import { align8, bytes, decodeUtf8, fromUuid, struct, toHex, toUuid, u16, u32 } from "@qdb/format/container";
import { encodeUtf8 } from "@qdb/format/internal";
import type { NewExtension } from "../create/new-image.ts";

/** Type of the extension: "QDBS". */
export const SESSION_EXTENSION = 0x51444253;

/** Fixed part of the extension, 40 bytes. The bitmaps of the session follow it. Integers are big-endian. */
export const SESSION_HEAD = struct("session extension", 40, {
  /** Id of the QDB file. */
  fileId: [0, bytes(16)],
  /** Id of the session, that of the records *session* in the QDB file. */
  session: [16, bytes(16)],
  /** Number of bitmaps. */
  count: [32, u32],
  /** 0. */
  reserved: [36, u32],
});

/** A bitmap of a session, 24 bytes. Its name in UTF-8, and padding with zeros to a multiple of 8, follow it. */
export const SESSION_BITMAP = struct("session bitmap", 24, {
  /** Id of the bitmap in its chain of backups; all zeros if it has none. */
  id: [0, bytes(16)],
  /** Length of the name in bytes. */
  nameSize: [16, u16],
  /** 0. */
  reserved: [18, u16],
  /** 0. */
  reserved2: [20, u32],
});

/** A bitmap of a session. */
export interface SessionBitmap {
  /** Name, the same in the shell and, unless it was renamed there, in the QDB file. */
  readonly name: string;
  /** Id in its chain of backups, a UUID; undefined if it has none. */
  readonly id: string | undefined;
}

/** The session of a QDB file for which a shell collects. Ids are UUIDs. */
export interface ShellSession {
  /** Id of the QDB file. */
  readonly fileId: string;
  /** Id of the session, that of the records *session*. */
  readonly id: string;
  readonly bitmaps: readonly SessionBitmap[];
}

/** What stands for no id. */
const NO_ID = "00000000-0000-0000-0000-000000000000";

/** Encodes a session as a header extension. */
export function encodeSession({ fileId, id: session, bitmaps }: ShellSession): NewExtension {
  const names = bitmaps.map(({ name }) => encodeUtf8(name));
  const length = names.reduce((sum, name) => sum + align8(SESSION_BITMAP.size + name.length), SESSION_HEAD.size);
  const data = new Uint8Array(length);
  const head = { fileId: fromUuid(fileId), session: fromUuid(session), count: bitmaps.length, reserved: 0 };
  SESSION_HEAD.encode(head, data);
  let at = SESSION_HEAD.size;
  for (const [index, name] of names.entries()) {
    const id = bitmaps[index]?.id ?? NO_ID;
    SESSION_BITMAP.encode({ id: fromUuid(id), nameSize: name.length, reserved: 0, reserved2: 0 }, data, at);
    data.set(name, at + SESSION_BITMAP.size);
    at += align8(SESSION_BITMAP.size + name.length);
  }
  return { type: SESSION_EXTENSION, data };
}

/** Decodes a session. `offset` is where the data is in the file, for errors. @throws {QdbError} BAD_FIELD for data that is no session */
export function decodeSession(data: Uint8Array, offset: number): ShellSession {
  const bad = (message: string): QdbError => {
    const where: Where = { structure: SESSION_HEAD.name, offset };
    return new QdbError("BAD_FIELD", `the session extension is damaged: ${message}`, where);
  };
  if (data.length < SESSION_HEAD.size) throw bad(`it has ${data.length} bytes`);
  const { fileId, session, count } = SESSION_HEAD.decode(data);
  const bitmaps: SessionBitmap[] = [];
  let at = SESSION_HEAD.size;
  for (let index = 0; index < count; index++) {
    if (at + SESSION_BITMAP.size > data.length) throw bad(`bitmap ${index} of ${count} runs past its end`);
    const { id, nameSize } = SESSION_BITMAP.decode(data, at);
    const end = at + align8(SESSION_BITMAP.size + nameSize);
    if (end > data.length) throw bad(`the name of bitmap ${index} runs past its end`);
    const nameBytes = data.subarray(at + SESSION_BITMAP.size, at + SESSION_BITMAP.size + nameSize);
    const name = decodeUtf8(nameBytes);
    if (name === undefined) throw bad(`the name ${toHex(nameBytes)} of bitmap ${index} is not UTF-8`);
    const uuid = toUuid(id);
    bitmaps.push({ name, id: uuid === NO_ID ? undefined : uuid });
    at = end;
  }
  return { fileId: toUuid(fileId), id: toUuid(session), bitmaps };
}
