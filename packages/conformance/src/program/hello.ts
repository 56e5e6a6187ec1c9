import type { Json } from "../text/json.ts";
import type { Adapter } from "./adapter.ts";

/** The answer of a program to `hello`: what it is, and what it claims. */
export interface Hello {
  readonly name: string;
  readonly version: string;
  /** Versions of the format. */
  readonly spec: readonly number[];
  readonly profiles: readonly string[];
  readonly features: readonly string[];
}

/** Sends `hello` to a program and parses the answer. @throws {Error} if there is no answer, or if it is not valid */
export async function askHello(adapter: Adapter): Promise<Hello> {
  const { answer, crash } = await adapter.ask(["hello"]);
  if (answer === undefined) throw new Error(crash ?? "no answer");
  if (answer.kind !== "ok") throw new Error("hello is answered with ok by every program");
  const { protocol, name, version, spec, profiles, features } = answer.body;
  if (protocol !== 1) throw new Error(`protocol is ${JSON.stringify(protocol)}, this runner speaks 1`);
  if (typeof name !== "string" || typeof version !== "string") throw new Error("name and version are to be texts");
  return {
    name,
    version,
    spec: listOf(spec, "spec", (item) => typeof item === "number") as number[],
    profiles: listOf(profiles, "profiles", (item) => typeof item === "string") as string[],
    features: listOf(features, "features", (item) => typeof item === "string") as string[],
  };
}

/** Returns a list of the answer. @throws {Error} if it is not a list, or if `isItem` is false for an item */
function listOf(value: Json | undefined, key: string, isItem: (item: Json) => boolean): Json[] {
  if (Array.isArray(value) && value.every(isItem)) return value;
  throw new Error(`hello needs the list ${key}, and it gave ${JSON.stringify(value) ?? "none"}`);
}
