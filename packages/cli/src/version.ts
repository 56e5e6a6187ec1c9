import manifest from "../package.json" with { type: "json" };

/** What `qdb --version` prints. */
export const VERSION_LINE = `qdb ${manifest.version}\n`;
