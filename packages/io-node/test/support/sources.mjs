// Lets scripts that Node runs by itself read the packages from their sources, as the tests do.
import { registerHooks } from "node:module";

registerHooks({
  resolve(specifier, context, next) {
    const [, name] = /^@qdb\/([a-z0-9-]+)$/.exec(specifier) ?? [];
    if (name === undefined) return next(specifier, context);
    return { url: new URL(`../../../${name}/src/index.ts`, import.meta.url).href, shortCircuit: true };
  },
});
