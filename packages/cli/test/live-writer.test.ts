// The reading commands beside a writer that commits without a pause: no finding that is not true, no failure, one state each.
import { spawnSync } from "node:child_process";
import { appendFileSync } from "node:fs";
import { join } from "node:path";
import { lockState } from "@qdb/io-node";
import { beforeAll, expect, test, vi } from "vitest";
import { Child } from "../../io-node/test/support/child.ts";
import { makeTwins } from "../../io-node/test/support/qdb-files.ts";
import { COMMAND, NODE, type Ran, temporaryDirectory } from "./built.ts";
import { requirePeers } from "./peers.ts";
import { runOf } from "./resident.ts";

vi.setConfig({ testTimeout: 300_000 });

const LOOKS = 60;
const directory = temporaryDirectory();
const file = join(directory, "twins.qdb");

beforeAll(async () => {
  requirePeers("unshare");
  await makeTwins(file);
});

/** A writer that changes two bitmaps alike in each commit, and has the file open nearly all the time. */
async function withWriter(use: () => Promise<void>): Promise<void> {
  const writer = new Child("twins-writer.ts", file, "1000000", join(directory, "done"));
  await expect.poll(() => lockState(file)?.held, { timeout: 30_000 }).toBe(true);
  await use();
  // It has not ended before the last look.
  writer.kill("SIGKILL");
  expect(await writer.ended()).toMatchObject({ signal: "SIGKILL", stderr: "" });
}

interface Form {
  readonly bitmaps: readonly { readonly name: string; readonly bits_sha256: string }[];
}

const COMMANDS: Readonly<Record<string, { args: readonly string[]; see: (stdout: string) => void }>> = {
  check: {
    args: ["check", "--output=json", file],
    see: (stdout) => expect(JSON.parse(stdout)).toMatchObject({ findings: [], clean: true, complete: true }),
  },
  info: {
    args: ["info", "--output=json", file],
    see(stdout) {
      const [one, , two] = JSON.parse(stdout).bitmaps;
      expect(one.dirty_bytes).toMatch(/^[1-9]/);
      expect(one.dirty_bytes).toBe(two.dirty_bytes);
    },
  },
  dump: {
    args: ["dump", file],
    see(stdout) {
      const { bitmaps } = JSON.parse(stdout) as Form;
      const [one, , two] = bitmaps;
      expect([one?.name, two?.name]).toEqual(["one", "two"]);
      expect(one?.bits_sha256).toBe(two?.bits_sha256);
    },
  },
  map: {
    args: ["map", "--output=json", "--ignore-disk-change", file, "one"],
    see: (stdout) => expect(JSON.parse(stdout).length).toBeGreaterThan(100),
  },
  export: {
    args: ["export", "--to", "raw-bits", "--ignore-disk-change", "-B", "one", file],
    see: (stdout) => expect(stdout.length).toBeGreaterThan(1000),
  },
  show: { args: ["show", file], see: (stdout) => expect(stdout).not.toMatch(/\[[A-Z_]+\]/) },
};

test.each(Object.keys(COMMANDS))(`qdb %s, ${LOOKS} times`, async (name) => {
  const { args, see } = COMMANDS[name] as (typeof COMMANDS)[string];
  await withWriter(async () => {
    for (let look = 0; look < LOOKS; look++) {
      const { status, stdout, stderr }: Ran = await runOf(look)(args);
      expect({ look, status, stderr, stdout: status === 0 ? "" : stdout.toString() }).toEqual({
        look,
        status: 0,
        stderr: "",
        stdout: "",
      });
      see(stdout.toString("latin1"));
    }
  });
});

/** Runs a command where no process outside is to be seen, as in a container. */
function inContainer(...args: readonly string[]): { status: number | null; stdout: string } {
  const env = { ...process.env, NODE_OPTIONS: undefined };
  const options = ["--pid", "--fork", "--mount-proc", NODE, COMMAND, ...args];
  const { status, stdout, error } = spawnSync("unshare", options, { encoding: "utf8", env });
  if (error !== undefined) throw error;
  return { status, stdout };
}

test("qdb check in a container that cannot see the writer", async () => {
  await withWriter(async () => {
    for (let look = 0; look < LOOKS / 3; look++) {
      const { status, stdout } = inContainer("check", "--output=json", file);
      expect({ look, status, stdout }).toMatchObject({
        look,
        status: 0,
        stdout: expect.stringContaining('"findings": []'),
      });
    }
  });
});

test("what a killed writer leaves is found, by who sees that none is there and by who does not", async () => {
  const left = join(directory, "left.qdb");
  await makeTwins(left);
  appendFileSync(left, Buffer.alloc(8192));
  const whole = await runOf(0)(["check", "--output=json", left]);
  for (const { status, stdout } of [whole, inContainer("check", "--output=json", left)]) {
    expect(status).toBe(3);
    expect(JSON.parse(stdout.toString()).findings).toMatchObject([{ code: "LEAK" }]);
  }
});
