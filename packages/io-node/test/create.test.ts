import { existsSync, linkSync, readdirSync, readFileSync, statSync, symlinkSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import type { FileImage } from "@qdb/format/container";
import { describe, expect, test } from "vitest";
import { errorOf } from "../../format/test/contract/errors.ts";
import { createFile, createFileBy, type NewFile, openSpoolFile, requireWritableHost } from "../src/container.ts";
import { ioError, replaceInFs } from "./support/fake-fs.ts";
import { bytesOf, fullImage, headerArea, imageOf, pattern } from "./support/images.ts";
import { asOrdinaryUser, loopDevice, pipe, readOnlyDirectory, tinyFileSystem } from "./support/root.ts";
import { traced } from "./support/strace.ts";
import { temporaryDirectory } from "./support/temp.ts";

const inPlace = "?link,?linkat:error=EPERM";

describe("a new file", () => {
  test("has the bytes of the image, holes where it has none, the mode of the umask, and nothing beside it", async () => {
    const directory = temporaryDirectory();
    const path = join(directory, "new.qdb");
    const image = imageOf(2 ** 26, ...fullImage().chunks());
    await createFile(path, image);
    expect(Buffer.compare(readFileSync(path), bytesOf(image))).toBe(0);
    expect(statSync(path).mode & 0o777).toBe(0o666 & ~process.umask());
    expect(statSync(path).nlink).toBe(1);
    expect(statSync(path).blocks * 512).toBeLessThan(2 ** 20);
    expect(readdirSync(directory)).toEqual(["new.qdb"]);
  });

  test("can be empty, and can be reached by a relative path", async () => {
    const directory = temporaryDirectory();
    const before = process.cwd();
    process.chdir(directory);
    try {
      await createFile("new.qdb", imageOf(0));
    } finally {
      process.chdir(before);
    }
    expect(readFileSync(join(directory, "new.qdb"))).toHaveLength(0);
  });

  test("is flushed before it gets its name, and its name before success is told", () => {
    const path = join(temporaryDirectory(), "new.qdb");
    const { code, calls } = traced("create-script.ts", path);
    expect(code).toBe("created");
    expect(calls).toEqual([
      // Who was killed here may have left something.
      "open directory O_RDONLY|O_NONBLOCK|O_DIRECTORY",
      "close directory",
      "open temporary O_WRONLY|O_CREAT|O_EXCL, 0666",
      "flock temporary LOCK_EX|LOCK_NB",
      "ftruncate temporary",
      "pwrite64 temporary 4096@0",
      "pwrite64 temporary 4096@4096",
      "pwrite64 temporary 5000@8192",
      "pwrite64 temporary 4096@28672",
      "fsync temporary",
      "link temporary target",
      "unlink temporary",
      "open directory O_RDONLY",
      "fsync directory",
      "close directory",
      "close temporary",
    ]);
  });

  test("is written in place, its header last, where there are no links", () => {
    const path = join(temporaryDirectory(), "new.qdb");
    const { code, calls } = traced("create-script.ts", path, { inject: [inPlace] });
    expect(code).toBe("created");
    expect(calls.slice(calls.indexOf("link temporary target EPERM"))).toEqual([
      "link temporary target EPERM",
      "unlink temporary",
      "close temporary",
      "open target O_WRONLY|O_CREAT|O_EXCL, 0666",
      "flock target LOCK_EX|LOCK_NB",
      "ftruncate target",
      "pwrite64 target 4096@4096",
      "pwrite64 target 5000@8192",
      "pwrite64 target 4096@28672",
      "fsync target",
      "pwrite64 target 4096@0",
      "fsync target",
      "open directory O_RDONLY",
      "fsync directory",
      "close directory",
      "close target",
    ]);
    expect(Buffer.compare(readFileSync(path), bytesOf(fullImage()))).toBe(0);
  });

  test("tells progress up to the end", async () => {
    const told: [number, number][] = [];
    const image = imageOf(
      3 * 2 ** 26,
      { offset: 0, bytes: headerArea() },
      { offset: 2 ** 26, bytes: pattern(2 ** 27) },
    );
    await createFile(join(temporaryDirectory(), "new.qdb"), image, {
      onProgress: (done, total) => told.push([done, total]),
    });
    expect(told.length).toBeGreaterThan(1);
    expect(told.at(-1)).toEqual([image.length, image.length]);
    expect(told.map(([done]) => done)).toEqual(told.map(([done]) => done).sort((a, b) => a - b));
  });
});

describe("a file whose bytes come as they are found", () => {
  const chunks = [...fullImage().chunks()];
  /** Writes the chunks from the last to the first, after a first try of which nothing may be left. */
  const backwards = async (file: NewFile): Promise<void> => {
    file.write(pattern(30_000, 8), 0);
    file.write(pattern(10_000, 8), 30_000);
    file.truncate(0);
    for (const { offset, bytes } of chunks.toReversed()) file.write(bytes, offset);
    file.truncate(fullImage().length);
  };

  test.each([false, true])("has them in their places, without links: %s", async (isWithoutLinks) => {
    const directory = temporaryDirectory();
    const path = join(directory, "new.qdb");
    if (isWithoutLinks) {
      replaceInFs("linkSync", () => () => {
        throw Object.assign(new Error("EPERM"), { code: "EPERM", errno: -1 });
      });
    }
    await createFileBy(path, backwards);
    expect(Buffer.compare(readFileSync(path), bytesOf(fullImage()))).toBe(0);
    expect(readdirSync(directory)).toEqual(["new.qdb"]);
  });

  test("has them on a device too", async () => {
    const disk = join(temporaryDirectory(), "disk");
    writeFileSync(disk, pattern(2 ** 20, 9));
    const device = loopDevice(disk);
    await createFileBy(device, backwards);
    const found = readFileSync(device).subarray(0, fullImage().length);
    expect(Buffer.compare(found, bytesOf(fullImage()))).toBe(0);
  });

  test("is not there if writing fails or is aborted", async () => {
    const directory = temporaryDirectory();
    const path = join(directory, "new.qdb");
    const failing = async (file: NewFile): Promise<void> => {
      await backwards(file);
      throw new RangeError("no more");
    };
    await expect(createFileBy(path, failing)).rejects.toThrow(RangeError);
    const controller = new AbortController();
    const aborting = async (file: NewFile): Promise<void> => {
      await backwards(file);
      controller.abort();
    };
    expect((await errorOf(() => createFileBy(path, aborting, { signal: controller.signal }))).code).toBe("ABORTED");
    expect(readdirSync(directory)).toEqual([]);
  });
});

describe("a temporary file without a name", () => {
  test("has what was written, and is in no directory", async () => {
    const directory = temporaryDirectory();
    const file = openSpoolFile(directory);
    file.writeSync(65_536, pattern(1000));
    expect(readdirSync(directory)).toEqual([]);
    const found = new Uint8Array(1000);
    file.readIntoSync(65_536, found);
    expect(found).toEqual(pattern(1000));
    expect((await errorOf(() => file.readIntoSync(66_000, found))).code).toBe("SHORT_READ");
    file.close();
    expect((await errorOf(() => openSpoolFile(join(directory, "none")))).code).toBe("NOT_FOUND");
  });
});

describe("nothing is overwritten", () => {
  test.each(["file", "symbolic link to nothing", "symbolic link", "hard link"])("a %s", async (kind) => {
    const directory = temporaryDirectory();
    const [path, other] = [join(directory, "there"), join(directory, "other")];
    if (kind !== "symbolic link to nothing") writeFileSync(other, "precious");
    if (kind === "file") writeFileSync(path, "precious");
    else if (kind === "hard link") linkSync(other, path);
    else symlinkSync(other, path);
    const before = readdirSync(directory);
    const error = await errorOf(() => createFile(path, fullImage()));
    expect(error.code).toBe("ALREADY_EXISTS");
    expect(readdirSync(directory)).toEqual(before);
    if (kind === "symbolic link to nothing") expect(existsSync(other)).toBe(false);
    else expect(readFileSync(path, "utf8")).toBe("precious");
  });

  test("a file that appears while the new one is written", async () => {
    const directory = temporaryDirectory();
    const path = join(directory, "new.qdb");
    const image: FileImage = {
      length: 4096,
      *chunks() {
        writeFileSync(path, "faster");
        yield { offset: 0, bytes: headerArea() };
      },
    };
    expect((await errorOf(() => createFile(path, image))).code).toBe("ALREADY_EXISTS");
    expect(readFileSync(path, "utf8")).toBe("faster");
    expect(readdirSync(directory)).toEqual(["new.qdb"]);
  });

  test("a directory, a pipe, a character device", async () => {
    for (const path of [temporaryDirectory(), pipe(), "/dev/null"]) {
      expect((await errorOf(() => createFile(path, fullImage()))).code).toBe("USAGE");
    }
  });
});

describe("where no file can be made, none is left", () => {
  test("its directory is missing, is a file, or may not be written", async () => {
    const directory = temporaryDirectory();
    writeFileSync(join(directory, "file"), "");
    const missing = await errorOf(() => createFile(join(directory, "no", "new.qdb"), fullImage()));
    expect(missing.code).toBe("NOT_FOUND");
    expect(missing.message).toContain("its directory does not exist");
    expect((await errorOf(() => createFile(join(directory, "file", "new.qdb"), fullImage()))).code).toBe("NOT_FOUND");
    const closed = join(readOnlyDirectory(), "new.qdb");
    const denied = await asOrdinaryUser(() => errorOf(() => createFile(closed, fullImage())));
    expect(denied.code).toBe("IO");
    expect(denied.message).toContain("EACCES");
    expect(existsSync(closed)).toBe(false);
  });

  test("the file system is full", async () => {
    const directory = tinyFileSystem(65536);
    const path = join(directory, "new.qdb");
    const error = await errorOf(() => createFile(path, imageOf(2 ** 20, { offset: 0, bytes: pattern(2 ** 20) })));
    expect(error.code).toBe("IO");
    expect(error.message).toBe(`cannot write "${path}": ENOSPC: no space left on device`);
    expect(readdirSync(directory)).toEqual([]);
    await createFile(path, fullImage());
    expect(Buffer.compare(readFileSync(path), bytesOf(fullImage()))).toBe(0);
  });

  // Each call on which the outcome hangs, one after another: by a link, and in place.
  test.each([
    ["ftruncate:error=ENOSPC"],
    ["pwrite64:error=EIO:when=1"],
    ["pwrite64:error=EDQUOT:when=4"],
    ["pwrite64:retval=0:when=2"],
    ["fsync:error=EIO:when=1"],
    ["?link,?linkat:error=EIO"],
    ["?unlink,?unlinkat:error=EIO:when=1"],
    ["fsync:error=EIO:when=2"],
    [inPlace, "ftruncate:error=EFBIG:when=2"],
    [inPlace, "pwrite64:error=EIO:when=5"],
    [inPlace, "fsync:error=EIO:when=2"],
    [inPlace, "pwrite64:error=ENOSPC:when=8"],
    [inPlace, "fsync:error=EIO:when=3"],
    [inPlace, "fsync:error=EIO:when=4"],
  ])("%s %s", (...inject) => {
    const directory = temporaryDirectory();
    const { code, message, calls } = traced("create-script.ts", join(directory, "new.qdb"), { inject });
    const errno = /error=(\w+)/.exec(inject.at(-1) ?? "")?.[1] ?? "took no byte";
    expect(calls.filter((call) => call.endsWith(errno))).toHaveLength(errno === "took no byte" ? 0 : 1);
    expect(code).toBe("IO");
    expect(message).toContain(errno);
    expect(readdirSync(directory)).toEqual([]);
  });

  test("a failing close, which is where some file systems tell of a failed write", async () => {
    const directory = temporaryDirectory();
    replaceInFs("closeSync", (real) => (fd) => {
      const isOurs = readdirSync(directory).some((name) => statSync(join(directory, name)).ino === statOf(fd));
      real(fd);
      if (isOurs) throw ioError();
    });
    const error = await errorOf(() => createFile(join(directory, "new.qdb"), fullImage()));
    expect(error.code).toBe("IO");
    expect(error.message).toContain("cannot close");
    expect(readdirSync(directory)).toEqual([]);
  });

  test("a file written in place whose status cannot be read is closed, left and named: another file may be in its place", async () => {
    const path = join(temporaryDirectory(), "new.qdb");
    const closed: number[] = [];
    let isOurs = (_: number): boolean => false;
    replaceInFs("linkSync", () => () => {
      isOurs = (fd) => existsSync(path) && statOf(fd) === statSync(path).ino;
      throw Object.assign(new Error("EPERM"), { code: "EPERM", errno: -1 });
    });
    replaceInFs(
      "fstatSync",
      (real) =>
        ((fd: number, ...rest: never[]) => {
          if (isOurs(fd)) throw ioError();
          return real(fd, ...rest);
        }) as typeof real,
    );
    replaceInFs("closeSync", (real) => (fd) => {
      if (isOurs(fd)) closed.push(fd);
      real(fd);
    });
    const error = await errorOf(() => createFile(path, fullImage()));
    expect([error.code, error.message]).toEqual([
      "IO",
      `cannot stat "${path}": EIO: i/o error; then "${path}", an empty file, was not removed: another file may be in its place`,
    ]);
    // Before the file is read here, which closes it once more.
    expect(closed).toHaveLength(1);
    expect(readFileSync(path)).toHaveLength(0);
  });

  test("a temporary file that cannot be removed is named", () => {
    const directory = temporaryDirectory();
    const { code, message } = traced("create-script.ts", join(directory, "new.qdb"), {
      inject: ["fsync:error=EIO", "?unlink,?unlinkat:error=EROFS"],
    });
    expect(code).toBe("IO");
    const [left = "nothing"] = readdirSync(directory);
    expect(message).toContain(`EIO: i/o error; then "${join(directory, left)}" could not be removed (EROFS`);
  });

  test("the caller aborts, before or while it is written", async () => {
    const directory = temporaryDirectory();
    const path = join(directory, "new.qdb");
    const reason = new Error("enough");
    const before = await errorOf(() => createFile(path, fullImage(), { signal: AbortSignal.abort(reason) }));
    expect(before.code).toBe("ABORTED");
    expect(before.cause).toBe(reason);
    const controller = new AbortController();
    const image = imageOf(2 ** 27, { offset: 0, bytes: pattern(2 ** 27) });
    const options = { signal: controller.signal, onProgress: () => controller.abort() };
    expect((await errorOf(() => createFile(path, image, options))).code).toBe("ABORTED");
    expect(readdirSync(directory)).toEqual([]);
  });

  test("the image itself throws: its error comes out as it is", async () => {
    const directory = temporaryDirectory();
    const broken: FileImage = {
      length: 8192,
      *chunks() {
        yield { offset: 0, bytes: headerArea() };
        throw new RangeError("no more");
      },
    };
    await expect(createFile(join(directory, "new.qdb"), broken)).rejects.toThrow(RangeError);
    expect(readdirSync(directory)).toEqual([]);
  });
});

test("hosts on which it is not proved do not write", async () => {
  requireWritableHost("linux");
  for (const platform of ["darwin", "win32"]) {
    const error = await errorOf(() => requireWritableHost(platform));
    expect(error.code).toBe("NOT_SUPPORTED");
    expect(error.message).toContain(platform);
  }
});

function statOf(fd: number): number {
  return statSync(`/proc/self/fd/${fd}`).ino;
}
