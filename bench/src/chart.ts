// `pnpm bench:chart [FILE]`: draws the charts of results that `pnpm bench` has written, without measuring again. README.md says where.
import { resolve } from "node:path";
import { PUBLISHED, publish } from "./report/publish.ts";

const [file = PUBLISHED] = process.argv.slice(2);
for (const path of publish(resolve(file))) console.log(`Written: ${path}`);
