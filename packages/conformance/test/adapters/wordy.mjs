// Prints more than the answer, when it is started for one request.
import { speak } from "./toy.mjs";

console.log("toy 1, ready");
await speak();
