// SPDX-License-Identifier: CC0-1.0 OR MIT
// Mutants that no corpus can notice, since the protocol has no word for what they change; README.md says why each is left out.
import type { Ignorer } from "@stryker-mutator/api/ignore";
import { declareValuePlugin, PluginKind } from "@stryker-mutator/api/plugin";

/** What is looked at of a node of the syntax tree. */
interface Node {
  readonly type: string;
  readonly name?: string;
  readonly value?: unknown;
  readonly key?: Node;
  readonly id?: Node | null;
  readonly callee?: Node;
  readonly property?: Node;
  readonly properties?: readonly Node[];
  readonly quasis?: readonly { readonly value: { readonly raw: string } }[];
}

interface Path {
  readonly node: Node;
  readonly parentPath?: Path | null;
}

/** Two words in a row: text for people. No key, code, flag or field of the format is written so. */
const PROSE = /[A-Za-z0-9_,:;)-] +[a-zA-Z(]/;
/** Keys of where a problem is that no answer is judged by. */
const PLACE: readonly (string | undefined)[] = ["structure", "field", "offset"];
/** Functions whose result only messages show, or that no verb of the protocol reaches. */
const UNREACHED = new Map([
  ["featureName", "the name of an unknown feature: shown in a message only"],
  ["extensionName", "not in the protocol: names of extensions for people"],
]);

function keysOf(node: Node | undefined): (string | undefined)[] {
  return (node?.properties ?? []).map(({ key }) => key?.name);
}

function isProse(node: Node): boolean {
  if (node.type === "StringLiteral") return PROSE.test(String(node.value));
  if (node.type !== "TemplateLiteral") return false;
  const text = (node.quasis ?? []).map(({ value }) => value.raw).join("0");
  return PROSE.test(text);
}

/** Whether an object says where a problem is, and nothing else. */
function isWhere(node: Node | undefined): boolean {
  const keys = keysOf(node);
  return (
    keys.includes("structure") && keys.every((key) => PLACE.includes(key) || key === "bitmap" || key === undefined)
  );
}

/** Why a node is left out with all that is in it; undefined where it is not. */
function reasonOf({ node, parentPath }: Path): string | undefined {
  const parent = parentPath?.node;
  const key = node.type === "ObjectProperty" ? node.key?.name : undefined;
  if (isProse(node) || key === "message") return "text of a message: never compared";
  if (node.type === "VariableDeclarator" && node.id?.name === "message") return "text of a message: never compared";
  if (node.type === "FunctionDeclaration") return UNREACHED.get(node.id?.name ?? "");
  if (node.type === "StringLiteral" && isInStruct(parentPath)) return "documentation in a field table: for people";
  if (isWhere(node) && !keysOf(node).includes("bitmap")) return "where a problem is: never compared";
  if (PLACE.includes(key ?? "") && isWhere(parent)) return "where a problem is: never compared";
  const called =
    node.type === "OptionalCallExpression" ? (node.callee?.name ?? node.callee?.property?.name) : undefined;
  return called === "onProgress" ? "progress: not in the protocol" : undefined;
}

/** Whether a node stands in the arguments of `struct`. */
function isInStruct(path: Path | null | undefined): boolean {
  if (path === null || path === undefined) return false;
  return (path.node.type === "CallExpression" && path.node.callee?.name === "struct") || isInStruct(path.parentPath);
}

const ignorer: Ignorer = { shouldIgnore: (path) => reasonOf(path as unknown as Path) };

/** What Stryker loads. */
export const strykerPlugins = [declareValuePlugin(PluginKind.Ignore, "qdb-unreachable", ignorer)];
