// Claims to read, and can no more.
import { speak, verbs } from "./toy.mjs";

const { hello, read } = verbs;
await speak({ own: { hello: () => ({ ...hello(), profiles: ["read"], features: [] }), read } });
