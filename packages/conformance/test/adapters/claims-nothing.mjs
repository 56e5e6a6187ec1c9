// Can everything and claims nothing.
import { speak, verbs } from "./toy.mjs";

await speak({ own: { ...verbs, hello: () => ({ ...verbs.hello(), profiles: [] }) } });
