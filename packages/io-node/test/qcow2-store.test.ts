import { readFileSync, renameSync, statSync, writeFileSync } from "node:fs";
import { describe, expect, test } from "vitest";
import { runPeer } from "../../cli/test/peers.ts";
import { errorOf } from "../../format/test/contract/errors.ts";
import { openFileStore, openQcow2Store, type Qcow2StoreOptions } from "../src/container.ts";
import { OfdLocks } from "../src/system/ofd-locks.ts";
import { excludesWriter } from "../src/system/qemu-locks.ts";
import { Child, runToEnd, scriptCommand } from "./support/child.ts";
import { refusalOf, someImage, startQemu } from "./support/qemu.ts";
import { loopDevice } from "./support/root.ts";
import { temporaryDirectory } from "./support/temp.ts";

/** As it is where koffi is not installed. */
const WITHOUT_KOFFI: Qcow2StoreOptions = {
  loadKoffi: () => {
    throw Object.assign(new Error("Cannot find module 'koffi'"), { code: "MODULE_NOT_FOUND" });
  },
};

type Line = readonly [string, ...string[]];

/** Programs that use an image: with each, what it opens it for. */
const PROGRAMS: Readonly<Record<string, (image: string) => Line>> = {
  "qemu-io, for writing": (image) => ["qemu-io", "-f", "qcow2", "-c", "write -q 0 64k", image],
  "qemu-io, for reading": (image) => ["qemu-io", "-r", "-f", "qcow2", "-c", "read -q 0 64k", image],
  "qemu-img bitmap": (image) => ["qemu-img", "bitmap", "--add", image, "daily"],
  "qemu-img info": (image) => ["qemu-img", "info", image],
  "qemu-img check": (image) => ["qemu-img", "check", "-q", image],
  "qemu-img info -U": (image) => ["qemu-img", "info", "-U", image],
  "qemu-nbd": (image) => ["qemu-nbd", "-f", "qcow2", "-k", `${image}.socket`, image],
  "qemu-storage-daemon": (image) => ["qemu-storage-daemon", ...nodesOf(image)],
};

function nodesOf(image: string): string[] {
  return ["--blockdev", `file,node-name=file,filename=${image}`, "--blockdev", "qcow2,node-name=disk,file=file"];
}

const writerOf = (image: string): Line => ["qemu-io", "-f", "qcow2", "-c", "sleep 600000", image];

/** Programs that have an image open, and whether QEMU lets a writer open it meanwhile. */
const HOLDERS: readonly (readonly [name: string, line: (image: string) => Line, isShared: boolean])[] = [
  ["qemu-io, for writing", writerOf, false],
  ["qemu-io, for reading", (image) => ["qemu-io", "-r", "-f", "qcow2", "-c", "sleep 600000", image], false],
  ["qemu-io -U, for reading", (image) => ["qemu-io", "-U", "-r", "-f", "qcow2", "-c", "sleep 600000", image], true],
  ["qemu-nbd -r", (image) => ["qemu-nbd", "-r", "-t", "-f", "qcow2", "-k", `${image}.socket`, image], false],
  ["qemu-storage-daemon", (image) => ["qemu-storage-daemon", ...nodesOf(image)], false],
];

/** The bytes of an image that a program locks, and those that it asks for, as strace shows it. */
function lockCalls(image: string, line: Line): { readonly locked: number[]; readonly asked: number[] } {
  const log = `${image}.strace`;
  runToEnd(["strace", "-f", "-qq", "-y", "-o", log, "-e", "trace=fcntl", ...line]);
  const calls = [
    ...readFileSync(log, "utf8").matchAll(
      /<([^>]*)>, F_OFD_([SG])ETLK, \{l_type=F_(\w+), l_whence=SEEK_SET, l_start=(\d+), l_len=1\b/g,
    ),
  ].filter(([, path]) => path === image);
  const bytesOf = (command: string, type: string): number[] =>
    calls
      .filter(([, , called, found]) => called === command && found === type)
      .map(([, , , , start]) => Number(start))
      .sort((a, b) => a - b);
  return { locked: bytesOf("S", "RDLCK"), asked: bytesOf("G", "UNLCK") };
}

test("a store locks and asks for the bytes that a QEMU does which writes", () => {
  const image = someImage();
  const qemu = lockCalls(image, ["qemu-io", "-f", "qcow2", "-c", "write -q 0 64k", image]);
  expect(qemu.locked).toHaveLength(5);
  expect(lockCalls(image, hold(image, import.meta.filename))).toEqual(qemu);
});

test.each([
  ["lock:\t1: OFDLCK ADVISORY  READ -1 fe:00:12 100 101", true],
  ["1: OFDLCK ADVISORY  READ -1 fe:00:12 100 100", false],
  ["17: OFDLCK ADVISORY  READ -1 fe:00:12 102 102", false],
  ["17: OFDLCK ADVISORY  WRITE -1 fe:00:12 103 103", true],
  ["17: OFDLCK ADVISORY  READ -1 fe:00:12 104 199", false],
  ["17: OFDLCK ADVISORY  READ -1 fe:00:12 200 200", true],
  ["17: OFDLCK ADVISORY  READ -1 fe:00:12 201 201", true],
  ["17: OFDLCK ADVISORY  READ -1 fe:00:12 202 202", false],
  ["17: OFDLCK ADVISORY  READ -1 fe:00:12 202 210", true],
  ["17: OFDLCK ADVISORY  READ -1 fe:00:12 204 EOF", false],
  ["2: POSIX  ADVISORY  READ 77 fe:00:12 201 201", true],
  ["2: POSIX  ADVISORY  WRITE 77 fe:00:12 0 EOF", true],
  ["3: FLOCK  ADVISORY  WRITE 77 fe:00:12 0 EOF", false],
  ["4: LEASE  ACTIVE    READ 77 fe:00:12 0 EOF", false],
])("a list of locks with %s: does it exclude a writer? %s", (line, excludes) => {
  expect(excludesWriter(line)).toBe(excludes);
});

describe("while a store has an image open", () => {
  test.each(Object.keys(PROGRAMS).filter((name) => name !== "qemu-img info -U"))(
    "%s is refused, as a QEMU refuses it",
    async (name) => {
      const image = someImage();
      const line = PROGRAMS[name]?.(image) ?? [""];
      const qemu = await startQemu(image, writerOf(image));
      const refusal = refusalOf(line);
      expect(refusal).toMatch(/^Failed to get (?:shared )?"(?:write|consistent read)" lock$/);
      await qemu.end();

      const store = openQcow2Store(image);
      expect(store.qemuLocks).toEqual({ held: true });
      expect(refusalOf(line)).toBe(refusal);
      store.close();
    },
  );

  test("qemu-img info -U is not, and those that came later are not when it is closed", () => {
    const image = someImage();
    const store = openQcow2Store(image);
    const names = ["qemu-img info -U", "qemu-img bitmap", "qemu-io, for writing"];
    const refusals = (): string[] => names.map((name) => refusalOf(PROGRAMS[name]?.(image) ?? [""]));
    const shared = 'Failed to get "write" lock';
    expect(refusals()).toEqual(["", shared, shared]);
    store.close();
    expect(refusals()).toEqual(["", "", ""]);
  });

  test("a process of ours that is killed leaves no lock", async () => {
    const image = someImage();
    const child = new Child("hold-qcow2-script.ts", image, import.meta.filename, "hold");
    await child.says("held");
    const line: Line = ["qemu-img", "bitmap", "--add", image, "daily"];
    expect(refusalOf(line)).toBe('Failed to get "write" lock');
    child.kill("SIGKILL");
    await child.ended();
    expect(refusalOf(line)).toBe("");
    openQcow2Store(image).close();
  });

  test("other stores are refused, of whatever kind", async () => {
    const image = someImage();
    for (const options of [{}, WITHOUT_KOFFI]) {
      const store = openQcow2Store(image, options);
      for (const open of [openQcow2Store, openFileStore]) {
        const error = await errorOf(() => open(image));
        expect({ code: error.code, message: error.message }).toEqual({
          code: "LOCKED",
          message: `"${image}" is locked by this process itself; try again when that is done`,
        });
      }
      store.close();
    }
  });

  test("on a device too", async () => {
    const device = loopDevice(someImage());
    const line: Line = ["qemu-img", "bitmap", "--add", "-f", "qcow2", device, "daily"];
    const store = openQcow2Store(device);
    expect(store.qemuLocks).toEqual({ held: true });
    expect(refusalOf(line)).toBe('Failed to get "write" lock');
    store.close();
    const qemu = await startQemu(device, writerOf(device));
    for (const options of [{}, WITHOUT_KOFFI]) {
      expect((await errorOf(() => openQcow2Store(device, options))).message).toContain(
        `process ${qemu.pid} ("qemu-io")`,
      );
    }
  });
});

describe.each([
  ["with koffi", {}],
  ["without koffi", WITHOUT_KOFFI],
])("an image that QEMU has open, %s,", (_, options) => {
  test.each(HOLDERS)("by %s", async (_name, line, isShared) => {
    const image = someImage();
    const qemu = await startQemu(image, line(image), isShared ? 100 : 203);
    if (isShared) {
      // QEMU opens it a second time then, and so do we.
      expect(refusalOf(["qemu-img", "bitmap", "--add", image, "daily"])).toBe("");
      openQcow2Store(image, options).close();
      return;
    }
    expect(refusalOf(["qemu-img", "bitmap", "--add", image, "daily"])).toBe('Failed to get "write" lock');
    const before = readFileSync(image);
    const error = await errorOf(() => openQcow2Store(image, options));
    expect({ code: error.code, message: error.message }).toEqual({
      code: "LOCKED",
      message: `"${image}" is locked, as QEMU does it, by process ${qemu.pid} ("${line(image)[0]}"); try again when that is done`,
    });
    expect(readFileSync(image).equals(before)).toBe(true);
    // The QEMU that is there is not disturbed.
    process.kill(qemu.pid, 0);
    await qemu.end();
    openQcow2Store(image, options).close();
  });

  test("outside of the container: LOCKED, by an unknown process", async () => {
    const image = someImage();
    await startQemu(image, writerOf(image));
    const place = options === WITHOUT_KOFFI ? "" : import.meta.filename;
    const inside: Line = ["unshare", "--pid", "--fork", "--mount-proc", ...hold(image, place)];
    expect(runToEnd(inside)).toMatchObject({
      status: 0,
      stdout: `LOCKED "${image}" is locked, as QEMU does it, by another process; try again when that is done\n`,
    });
  });
});

const hold = (image: string, place = ""): [string, ...string[]] => scriptCommand("hold-qcow2-script.ts", image, place);

describe("without koffi", () => {
  test("a store says that nothing keeps QEMU out, and why", async () => {
    const image = someImage();
    const child = new Child("hold-qcow2-script.ts", image, "", "hold");
    await child.says("the package koffi is not installed");
    expect(refusalOf(["qemu-img", "bitmap", "--add", image, "daily"])).toBe("");
  });

  test("a QEMU that came before the first change is seen: nothing is changed", async () => {
    const image = someImage();
    const store = openQcow2Store(image, WITHOUT_KOFFI);
    const qemu = await startQemu(image, writerOf(image));
    const before = readFileSync(image);
    const message = `"${image}" is locked, as QEMU does it, by process ${qemu.pid} ("qemu-io"); try again when that is done`;
    for (const change of [
      () => store.writeSync(0, new Uint8Array(8)),
      () => store.truncateSync(0),
      () => store.confirmSync(),
    ]) {
      expect(await errorOf(change)).toMatchObject({ code: "LOCKED", message });
    }
    await qemu.end();
    // What was read before is not what is there now.
    expect((await errorOf(() => store.writeSync(0, new Uint8Array(8)))).code).toBe("LOCKED");
    expect(readFileSync(image).equals(before)).toBe(true);
    store.close();
  });

  test.each([
    ["made the file longer", "write -q 1M 64k"],
    ["wrote in place", "write -q -P 7 0 64k"],
  ])("one that came, %s and went before the first change too", async (_, action) => {
    const image = someImage();
    runPeer("qemu-io", ["-f", "qcow2", "-c", "write -q 0 64k", image]);
    const store = openQcow2Store(image, WITHOUT_KOFFI);
    runPeer("qemu-io", ["-f", "qcow2", "-c", action, image]);
    const before = readFileSync(image);
    expect(await errorOf(() => store.writeSync(0, new Uint8Array(8)))).toMatchObject({
      code: "SOURCE_CHANGED",
      message: `another program has written to "${image}" since it was opened here; nothing was changed here, try again`,
    });
    expect(readFileSync(image).equals(before)).toBe(true);
    store.close();
  });

  test("one that came after it is seen before the header is written", async () => {
    const image = someImage();
    const store = openQcow2Store(image, WITHOUT_KOFFI);
    const end = store.size;
    store.writeSync(end, new Uint8Array(8));
    store.flushSync();
    store.confirmSync();
    const qemu = await startQemu(image, writerOf(image));
    const error = await errorOf(() => store.confirmSync());
    expect({ code: error.code, message: error.message }).toEqual({
      code: "LOCKED",
      message: `"${image}" is locked, as QEMU does it, by process ${qemu.pid} ("qemu-io"); try again when that is done; changes that were begun here are not finished: run qemu-img check then`,
    });
    await qemu.end();
    expect((await errorOf(() => store.writeSync(0, new Uint8Array(8)))).code).toBe("LOCKED");
    expect((await errorOf(() => store.confirmSync())).code).toBe("LOCKED");
    store.close();
  });

  test("where /proc/locks cannot be read, an image is not opened", () => {
    const image = someImage();
    const faults = ["-P", "/proc/locks", "-e", "inject=openat:error=EACCES"];
    expect(runToEnd(["strace", "-f", "-qq", "-o", "/dev/null", ...faults, ...hold(image)])).toMatchObject({
      status: 0,
      stdout: `IO cannot find out whether QEMU has "${image}" open: /proc/locks: EACCES: permission denied; install the package koffi, with which this takes QEMU's locks\n`,
    });
  });

  test("a list that leaves locks out is not believed", () => {
    const image = someImage();
    const script = `mount --bind /dev/null /proc/locks && exec "$@"`;
    const { stdout } = runToEnd(["unshare", "--mount", "sh", "-c", script, "sh", ...hold(image)]);
    expect(stdout).toBe(
      `IO cannot find out whether QEMU has "${image}" open: /proc/locks does not show our own lock; install the package koffi, with which this takes QEMU's locks\n`,
    );
  });
});

describe("QEMU's locks cannot be taken", () => {
  const never = (): unknown => {
    throw new Error("not to be loaded");
  };

  test.each([
    ["linux", "arm", "it is not known how linux on arm locks"],
    ["darwin", "arm64", "it is not known how darwin on arm64 locks"],
    ["linux", "x64", 'the package koffi cannot be loaded ("not to be loaded")'],
  ])("on %s, %s: %s", (platform, arch, reason) => {
    expect(OfdLocks.load(never, platform, arch)).toBe(reason);
  });

  test("by what is not koffi, or by one that finds no fcntl", () => {
    expect(OfdLocks.load(() => ({}))).toBe("what was loaded in the place of koffi is not koffi");
    const load = (): never => {
      throw new Error('symbol "fcntl" is\nmissing');
    };
    expect(OfdLocks.load(() => ({ load, errno: () => 0 }))).toBe(
      String.raw`the package koffi cannot be loaded ("symbol \"fcntl\" is\x0amissing")`,
    );
  });

  test("on a file system without locks: IO, and the file is closed; the exclusive lock of another program: LOCKED", async () => {
    const image = someImage();
    const failing = (errno: number): Qcow2StoreOptions => ({
      loadKoffi: () => ({ load: () => ({ func: () => () => -1 }), errno: () => errno }),
    });
    const none = await errorOf(() => openQcow2Store(image, failing(37)));
    expect({ code: none.code, message: none.message }).toEqual({
      code: "IO",
      message: `cannot lock byte 100 of "${image}" as QEMU does: ENOLCK`,
    });
    for (const errno of [11, 13]) {
      const held = await errorOf(() => openQcow2Store(image, failing(errno)));
      expect(held.code).toBe("LOCKED");
    }
    openQcow2Store(image).close();
  });
});

describe("a store of an image", () => {
  test("reads, writes, grows and is cut exactly, and cannot be replaced", () => {
    const image = someImage();
    const store = openQcow2Store(image);
    const { size } = statSync(image);
    expect(store.size).toBe(size);
    expect(store.readSync(0, 4)).toEqual(Buffer.from([0x51, 0x46, 0x49, 0xfb]));
    expect(() => store.readSync(size - 1, 2)).toThrow(expect.objectContaining({ code: "SHORT_READ" }));
    store.writeSync(size + 1, Uint8Array.of(7));
    store.flushSync();
    expect(readFileSync(image).subarray(size)).toEqual(Buffer.from([0, 7]));
    store.truncateSync(size);
    expect(statSync(image).size).toBe(size);
    expect("replaceSync" in store).toBe(false);
    store.close();
  });

  test("confirms that its path leads to the image", async () => {
    const image = someImage();
    const store = openQcow2Store(image);
    store.confirmSync();
    renameSync(image, `${image}.old`);
    writeFileSync(image, "another");
    expect((await errorOf(() => store.confirmSync())).code).toBe("PATH_CHANGED");
    store.close();
    expect((await errorOf(() => store.confirmSync())).code).toBe("USAGE");
  });

  test("of a file that is not there: NOT_FOUND", async () => {
    expect((await errorOf(() => openQcow2Store(`${temporaryDirectory()}/none`))).code).toBe("NOT_FOUND");
  });
});
