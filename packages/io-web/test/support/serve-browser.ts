// Run once by vitest for the tests in the browser: the server that they read from.
import type { TestProject } from "vitest/node";
import { requireChromium } from "./chromium.ts";
import { MISBEHAVIOURS } from "./misbehaviours.ts";
import { misbehaving, type RangeServer, rangeServer, type Served } from "./range-server.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Address of a server of another origin. It has a file for each `NAME/ANYTHING`, NAME being "good" or a misbehaviour. */
    readonly rangeServer: string;
  }
}

let server: RangeServer | undefined;

export async function setup(project: TestProject): Promise<void> {
  requireChromium();
  const bytes = Uint8Array.from({ length: 300_000 }, (_, at) => (at * 31) ^ (at >> 8));
  server = await rangeServer((name): Partial<Served> & { bytes: Uint8Array } => {
    const misbehaviour = MISBEHAVIOURS[name.split("/")[0] ?? ""];
    return misbehaviour === undefined ? { bytes } : misbehaving(misbehaviour, bytes);
  });
  project.provide("rangeServer", server.origin);
}

export async function teardown(): Promise<void> {
  await server?.close();
}
