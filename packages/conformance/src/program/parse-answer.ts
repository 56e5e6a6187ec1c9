import type { Finding } from "../corpus/manifest.ts";
import { isObject, type Json, type JsonObject } from "../text/json.ts";
import { shorten } from "../text/messages.ts";

/** The answer of an adapter to a request that it did or refused. `body` is the whole JSON object of the answer. */
export type DoneOrRefused =
  | { readonly kind: "ok"; readonly body: JsonObject }
  | { readonly kind: "refused"; readonly error: string; readonly body: JsonObject };

/** The answer of an adapter. It skips a request whose verb it does not know. */
export type Answer = DoneOrRefused | { readonly kind: "skip"; readonly reason: string };

/**
 * Parses a line of an adapter as an answer. `id` is that of the request, if the request had one.
 * @throws {Error} if the line is not a valid answer; the message says why
 */
export function parseAnswer(line: string, id: string | undefined): Answer {
  const body = objectOf(line);
  if (id !== undefined && body.id !== id)
    throw new Error(`the answer has the id ${JSON.stringify(body.id)}, the request had ${JSON.stringify(id)}`);
  if (body.skip !== undefined) {
    if (typeof body.skip !== "string" || body.skip === "") throw new Error("skip is no text that gives a reason");
    return { kind: "skip", reason: body.skip };
  }
  if (body.ok === true) return { kind: "ok", body };
  if (body.ok !== false) throw new Error(`the answer has neither ok, true or false, nor skip: ${shorten(line)}`);
  if (typeof body.error !== "string" || !/^[A-Z][A-Z0-9_]*$/.test(body.error))
    throw new Error(`a refusal needs "error" with a code of the specification: ${shorten(line)}`);
  return { kind: "refused", error: body.error, body };
}

function objectOf(line: string): JsonObject {
  let value: Json;
  try {
    value = JSON.parse(line);
  } catch {
    throw new Error(`the answer is no JSON: ${shorten(line)}`);
  }
  if (!isObject(value)) throw new Error(`the answer is no JSON object: ${shorten(line)}`);
  return value;
}

/** Returns the findings of an answer. @throws {Error} if they are missing or malformed; the message says which */
export function findingsOf(body: JsonObject): Finding[] {
  const { findings } = body;
  if (!Array.isArray(findings)) throw new Error('the answer has no list "findings"');
  return findings.map((item, at) => {
    if (!isObject(item)) throw new Error(`findings[${at}] is no object`);
    const { code, severity, repairable, where } = item;
    if (typeof code !== "string" || typeof severity !== "string" || typeof repairable !== "boolean")
      throw new Error(`findings[${at}] needs code and severity as texts and repairable as true or false`);
    const bitmap = isObject(where) ? where.bitmap : undefined;
    return { code, severity, repairable, ...(typeof bitmap === "string" ? { bitmap } : {}) };
  });
}

/** Returns the list of strings that an answer has under `key`. @throws {Error} if there is no such list */
export function stringsOf(body: JsonObject, key: string): string[] {
  const value = body[key];
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string"))
    throw new Error(`the answer has no list of texts "${key}"`);
  return value;
}
