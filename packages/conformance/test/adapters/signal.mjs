// Is ended by a signal at a check, as by a bad pointer.
import { speak, verbs } from "./toy.mjs";

await speak({ own: { ...verbs, check: () => process.kill(process.pid, "SIGSEGV") } });
