import manifest from "../../package.json" with { type: "json" };

/** Version of the runner. */
export const VERSION: string = manifest.version;
