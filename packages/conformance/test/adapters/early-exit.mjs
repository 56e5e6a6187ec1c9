// Ends well, but without the answer to a check.
import { speak, verbs } from "./toy.mjs";

await speak({ own: { ...verbs, check: () => process.exit(0) } });
