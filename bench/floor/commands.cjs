// SPDX-License-Identifier: MIT
// The least that a command of qdb has to do, in plain CommonJS: the start of Node.js, then the same lock, reads, checksums, writes and fsyncs of
// as many bytes, and nothing else: no structure is understood, no bit is looked at. See src/programs/floor.ts, which has the list for each command.
// Arguments: name of the list and its arguments.
"use strict";
const fs = require("node:fs");

/** Bytes of a header area, and of a block in front of the data. */
const AREA = 4096;

/** Bytes that are read or written at once; of 64 KiB to 1 MiB, this takes the least processor time. */
const WINDOW = 1024 * 1024;

/** Bytes of two images that are compared at once. */
const COMPARED = 256 * 1024;

const window = Buffer.allocUnsafeSlow(WINDOW);

/** Reads bytes from an offset on, and calls `take` with each window. */
function read(fd, offset, length, take) {
  for (let at = offset; at < offset + length; ) {
    const count = fs.readSync(fd, window, 0, Math.min(WINDOW, offset + length - at), at);
    if (count === 0) throw new Error(`the file ends at ${at}`);
    take?.(count);
    at += count;
  }
}

/** Writes bytes of the window to an offset. */
function write(fd, offset, length) {
  for (let at = 0; at < length; ) at += fs.writeSync(fd, window, 0, Math.min(WINDOW, length - at), offset + at);
}

/** Takes the checksums of the clusters in the first bytes of the window. */
function checksums(length, cluster) {
  const { crc32 } = require("node:zlib");
  for (let at = 0; at < length; at += cluster) crc32(window.subarray(at, Math.min(length, at + cluster)));
}

/** Takes the lock of an open file. */
function lock(fd) {
  const { status } = require("node:child_process").spawnSync("flock", ["-x", "-n", "3"], {
    stdio: ["ignore", "ignore", "pipe", fd],
  });
  if (status !== 0) throw new Error(`flock ended with ${status}`);
}

/** The header areas, and the L1 areas, each with its checksum. */
function readMaps(fd, maps) {
  read(fd, 0, AREA, (count) => checksums(count, AREA));
  read(fd, AREA, AREA, (count) => checksums(count, AREA));
  read(fd, 2 * AREA, maps, (count) => checksums(count, count));
}

/** `info`, `check` and `show`: the maps, the data with a checksum for each cluster, and what is printed. */
function look(path, maps, data, cluster, printed) {
  const fd = fs.openSync(path, "r");
  readMaps(fd, maps);
  read(fd, 2 * AREA + maps, data, (count) => checksums(count, cluster));
  fs.writeSync(1, " ".repeat(printed));
}

/**
 * `bitmap`: lock, read, fence, write what changes with the checksums of its clusters, and commit. The steps are those of section 5 of
 * the specification. What is written goes behind the end of the file.
 */
function commit(path, maps, data, cluster, changedMaps, changedData) {
  const fd = fs.openSync(path, "r+");
  lock(fd);
  readMaps(fd, maps);
  fs.fsyncSync(fd);
  write(fd, 0, AREA);
  fs.fsyncSync(fd);
  const end = fs.fstatSync(fd).size;
  let written = 0;
  const put = (length) => {
    checksums(length, cluster);
    write(fd, end + written, length);
    written += length;
  };
  // What is read becomes what is written, while it is in the cache.
  read(fd, 2 * AREA + maps, data, (count) => {
    checksums(count, cluster);
    for (let rest = count * (changedData / data); rest > 0; rest -= WINDOW) put(Math.min(rest, WINDOW));
  });
  checksums(Math.min(changedMaps, WINDOW), WINDOW);
  write(fd, end + written, changedMaps);
  write(fd, AREA, AREA);
  fs.fsyncSync(fd);
  read(fd, 0, AREA);
  write(fd, 0, AREA);
  fs.fsyncSync(fd);
}

/** A new file with these contents: written under another name, and linked to its own. */
function create(path, fill) {
  const temporary = `${path}.tmp`;
  const fd = fs.openSync(temporary, "wx+");
  lock(fd);
  fill(fd);
  fs.fsyncSync(fd);
  fs.linkSync(temporary, path);
  fs.unlinkSync(temporary);
  const folder = fs.openSync(require("node:path").dirname(path), "r");
  fs.fsyncSync(folder);
}

/** `import`: reads the source, and writes as much with the checksums of its clusters. */
function importSource(source, path, bytes, cluster, maps) {
  const from = fs.openSync(source, "r");
  create(path, (fd) => {
    let at = 2 * AREA + maps;
    read(from, fs.fstatSync(from).size - bytes, bytes, (count) => {
      checksums(count, cluster);
      write(fd, at, count);
      at += count;
    });
    write(fd, 2 * AREA, maps);
    write(fd, 0, 2 * AREA);
  });
}

/** Compares a part of two images, granule by granule. Returns the number of granules that differ. */
function compare(base, current, start, end, granularity) {
  const [one, other] = [base, current].map((path) => fs.openSync(path, "r"));
  const first = Buffer.allocUnsafeSlow(COMPARED);
  const second = Buffer.allocUnsafeSlow(COMPARED);
  let different = 0;
  for (let at = start; at < end; at += COMPARED) {
    for (const [fd, buffer] of [
      [one, first],
      [other, second],
    ])
      if (fs.readSync(fd, buffer, 0, COMPARED, at) !== COMPARED) throw new Error(`an image ends at ${at}`);
    for (let from = 0; from < COMPARED; from += granularity)
      different += first.compare(second, from, from + granularity, from, from + granularity) === 0 ? 0 : 1;
  }
  return different;
}

/** `diff`: half of the images is compared in a thread of its own. The images are whole windows, and an even number of them. */
function diff(base, current, path, length, granularity, data, cluster) {
  const { Worker } = require("node:worker_threads");
  const result = new Int32Array(new SharedArrayBuffer(8));
  const part = [base, current, length / 2, length, granularity];
  new Worker(__filename, { argv: ["half"], workerData: { result, part } });
  const different = compare(base, current, 0, length / 2, granularity);
  Atomics.wait(result, 0, 0);
  create(path, (fd) => {
    checksums(Math.min(data, WINDOW), cluster);
    write(fd, 0, 4 * AREA + data);
  });
  fs.writeSync(1, String(different + result[1]));
}

function half() {
  const { result, part } = require("node:worker_threads").workerData;
  result[1] = compare(...part);
  Atomics.store(result, 0, 1);
  Atomics.notify(result, 0);
}

const LISTS = { look, commit, import: importSource, diff, half };

const [name, ...rest] = process.argv.slice(2);
LISTS[name](...rest.map((text) => (/^\d+$/.test(text) ? Number(text) : text)));
