// SPDX-License-Identifier: CC0-1.0 OR MIT
// Stands in for ../adapters/ts/protocol.ts: the adapter is asked inside the process, not through its input.
import { isQdbError } from "@qdb/format";
import type { Implementation } from "../adapters/ts/protocol.ts";

export type { Body, Implementation } from "../adapters/ts/protocol.ts";

let implementation: Implementation | undefined;

/** Keeps what the adapter would serve. */
export async function speak(it: Implementation): Promise<void> {
  implementation = it;
}

/** Answers a request; what is no refusal is thrown, as a crash. */
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
