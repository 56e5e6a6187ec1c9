// Claims everything and does nothing.
import { speak, verbs } from "./toy.mjs";

await speak({ own: { hello: verbs.hello } });
