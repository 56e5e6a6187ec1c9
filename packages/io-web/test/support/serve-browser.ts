// Run once by vitest for the tests in the browser: the server that they read from.
import type { TestProject } from "vitest/node";
import { requireChromium } from "./chromium.ts";
import { type RangeServer, rangeServer } from "./range-server.ts";

declare module "vitest" {
  interface ProvidedContext {
    /** Address of a `rangeServer` of another origin. */
    readonly rangeServer: string;
  }
}

let server: RangeServer | undefined;

export async function setup(project: TestProject): Promise<void> {
  requireChromium();
  server = await rangeServer();
  project.provide("rangeServer", server.origin);
}

export async function teardown(): Promise<void> {
  await server?.close();
}
