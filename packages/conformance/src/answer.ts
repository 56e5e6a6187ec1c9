import type { Finding, Json } from "./manifest.ts";

/** An object of JSON. */
export type JsonObject = { [key: string]: Json };

/** What an adapter answered: it did it, refused it, or does not know the verb. */
export type Answer =
  | { readonly kind: "ok"; readonly body: JsonObject }
  | { readonly kind: "refused"; readonly error: string; readonly body: JsonObject }
  | { readonly kind: "skip"; readonly reason: string };

/** Whether a value is an object of JSON. */
export function isObject(value: Json | undefined): value is JsonObject {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** Reads a line of an adapter. @throws {Error} what is wrong with it, for one that is no answer */
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

/** The findings of an answer. @throws {Error} what is wrong with them */
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

/** A list of texts in an answer. @throws {Error} when it is not there */
export function textsOf(body: JsonObject, key: string): string[] {
  const value = body[key];
  if (!Array.isArray(value) || !value.every((item) => typeof item === "string"))
    throw new Error(`the answer has no list of texts "${key}"`);
  return value;
}

/** A text with its middle or end left out, for messages. */
export function shorten(text: string, most = 300): string {
  return text.length <= most ? text : `${text.slice(0, most)}… (${text.length} characters)`;
}
