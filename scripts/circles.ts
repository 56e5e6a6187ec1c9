// Circles in a graph of files or modules that import each other.

/** The groups of nodes that reach each other, each sorted; empty when the graph has no circle. */
export function circlesIn(graph: ReadonlyMap<string, ReadonlySet<string>>): string[][] {
  const reached = new Map<string, ReadonlySet<string>>();
  for (const start of graph.keys()) {
    const seen = new Set<string>();
    const queue = [...(graph.get(start) ?? [])];
    for (let node = queue.pop(); node !== undefined; node = queue.pop()) {
      if (seen.has(node)) continue;
      seen.add(node);
      queue.push(...(graph.get(node) ?? []));
    }
    reached.set(start, seen);
  }
  const groups = new Map<string, string[]>();
  for (const [node, from] of reached) {
    if (!from.has(node)) continue;
    const group = [...reached].filter(([other, back]) => from.has(other) && back.has(node)).map(([other]) => other);
    groups.set(group.sort().join(), group);
  }
  return [...groups.values()];
}
