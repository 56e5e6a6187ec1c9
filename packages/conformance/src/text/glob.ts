/** Whether a text matches one of the patterns, or there are no patterns. `*` matches any text, `?` any single character. */
export function matches(text: string, patterns: readonly string[]): boolean {
  return patterns.length === 0 || patterns.some((pattern) => expressionOf(pattern).test(text));
}

function expressionOf(pattern: string): RegExp {
  const source = pattern
    .replace(/[.+^${}()|[\]\\]/g, "\\$&")
    .replaceAll("*", ".*")
    .replaceAll("?", ".");
  return new RegExp(`^${source}$`);
}
