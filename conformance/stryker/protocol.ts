// SPDX-License-Identifier: CC0-1.0 OR MIT
// Replaces ../adapters/ts/protocol.ts, so that the adapter is called inside the process.
import { isQdbError } from "@qdb/format";
import type { Implementation } from "../adapters/ts/protocol.ts";

export type { Body, Implementation } from "../adapters/ts/protocol.ts";

let implementation: Implementation | undefined;

/** Keeps the implementation instead of serving it. */
export async function speak(it: Implementation): Promise<void> {
  implementation = it;
}

/** Answers a request. @throws whatever is not a QdbError: it counts as a crash */
export async function answer([verb = "", ...words]: readonly string[]): Promise<object> {
  const work = implementation?.verbs[verb];
  if (work === undefined) return { skip: `there is no verb ${verb}` };
  try {
    return { ok: true, ...(await work(...words)) };
  } catch (error) {
    if (!isQdbError(error)) throw error;
    return { ok: false, error: error.code, message: error.message };
  }
}
