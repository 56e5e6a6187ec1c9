// A program that reads files of the disk in Node: each line of its input is JSON, as is the answer.
import { createInterface } from "node:readline";
import { openQdb } from "@qdb/io-node";
import { timedRead, type Work } from "./timed-read.ts";

for await (const line of createInterface({ input: process.stdin })) {
  const { path, work } = JSON.parse(line) as { path: string; work: Work };
  console.log(JSON.stringify(await timedRead(() => openQdb(path), work)));
}
