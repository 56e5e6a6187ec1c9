// Says no to everything, always for the same reason.
import { Refused, speak, verbs } from "./toy.mjs";

const no = () => {
  throw new Refused("BAD_FIELD");
};
await speak({ own: { hello: verbs.hello, read: no, check: no, canon: no, repair: no, apply: no } });
