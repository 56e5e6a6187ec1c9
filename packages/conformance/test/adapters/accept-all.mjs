// Says yes to everything.
import { speak, verbs } from "./toy.mjs";

const yes = () => ({ model: {}, findings: [], complete: true, names: [], io: { bytes: 0, rounds: 0 } });
await speak({ own: { hello: verbs.hello, read: yes, check: yes, canon: yes, repair: yes, apply: yes } });
