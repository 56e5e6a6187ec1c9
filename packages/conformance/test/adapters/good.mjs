import { speak } from "./toy.mjs";

console.error("standard error is free text");
await speak();
