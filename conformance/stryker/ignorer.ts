// SPDX-License-Identifier: CC0-1.0 OR MIT
// Mutants that no corpus can notice, since the protocol has no word for what they change; README.md says why each is left out.
import type { Ignorer } from "@stryker-mutator/api/ignore";
import { declareValuePlugin, PluginKind } from "@stryker-mutator/api/plugin";
import { hostReason, type Node } from "./failing-hosts.ts";
import { UNREACHED } from "./unreached.ts";

interface Path {
  readonly node: Node;
  readonly parentPath?: Path | null;
}

/** Two words in a row: text for people. No key, code, flag or field of the format is written so. */
const PROSE = /[A-Za-z0-9_,:;)-] +[a-zA-Z(]/;
/** Keys of where a problem is that no answer is judged by. */
const PLACE: readonly (string | undefined)[] = ["structure", "field", "offset"];
const NAMED = ["FunctionDeclaration", "ClassDeclaration", "ClassMethod", "ClassPrivateMethod", "VariableDeclarator"];
/** White space of the JSON form: its layout is free. */
const BLANK = /^\s+$/;

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

/** Whether a template makes a place in a document, such as `bitmaps[2].size`, of a longer one. */
function isPath({ type, expressions, quasis }: Node): boolean {
  if (type !== "TemplateLiteral" || expressions?.[0]?.name !== "path") return false;
  const [, behind] = quasis ?? [];
  return behind?.value.raw === "[" || behind?.value.raw === ".";
}

/** Why a node is left out with all that is in it; undefined where it is not. */
function reasonOf({ node, parentPath }: Path): string | undefined {
  const parent = parentPath?.node;
  const key = node.type === "ObjectProperty" ? node.key?.name : undefined;
  if (isProse(node) || key === "message") return "text of a message: never compared";
  if (node.type === "VariableDeclarator" && node.id?.name === "message") return "text of a message: never compared";
  if (isPath(node)) return "where in a document a problem is: part of a message";
  if (node.type === "StringLiteral" && BLANK.test(String(node.value))) return "white space of JSON: never compared";
  if (NAMED.includes(node.type)) return UNREACHED.get(nameOf(node, parentPath));
  if (node.type === "StringLiteral" && isInStruct(parentPath)) return "documentation in a field table: for people";
  if (node.type === "ObjectExpression" && parent?.callee?.name === "QdbError")
    return "where an error is: a refusal is judged by its code";
  if (isWhere(node) && !keysOf(node).includes("bitmap")) return "where a problem is: never compared";
  if (PLACE.includes(key ?? "") && isWhere(parent)) return "where a problem is: never compared";
  if (node.type === "CatchClause") return UNREACHED.get(nameOf(node, parentPath));
  const changed = node.type === "AssignmentExpression" ? node.left : node.argument;
  const isChange = node.type === "AssignmentExpression" || node.type === "UpdateExpression";
  return (isChange ? UNREACHED.get(nameOfLocal(changed, parentPath)) : undefined) ?? hostReason(node);
}

/** The name of a declaration: a member's with its class, a local's with its function. */
function nameOf(node: Node, parentPath: Path | null | undefined): string {
  const own =
    node.type === "CatchClause"
      ? "catch"
      : (node.id?.name ?? node.key?.name ?? (node.key?.id === undefined ? "" : `#${node.key.id?.name}`));
  const isMember = node.type.startsWith("Class") && node.type.endsWith("Method");
  for (let path = parentPath; path !== null && path !== undefined; path = path.parentPath) {
    const { type, id } = path.node;
    if (isMember && type === "ClassDeclaration") return `${id?.name}.${own}`;
    const isLocal =
      ["VariableDeclarator", "CatchClause"].includes(node.type) &&
      (type === "FunctionDeclaration" || type.endsWith("Method"));
    if (isLocal) return `${nameOf(path.node, path.parentPath)}:${own}`;
  }
  return own;
}

/** The name of what is changed: a local of a function, or a private field of a class. */
function nameOfLocal(changed: Node | null | undefined, parentPath: Path | null | undefined): string {
  const field = changed?.property?.id?.name;
  for (let path = parentPath; path !== null && path !== undefined; path = path.parentPath) {
    const { type, id } = path.node;
    if (field !== undefined && type === "ClassDeclaration") return `${id?.name}.#${field}`;
    if (field === undefined && (type === "FunctionDeclaration" || type.endsWith("Method")))
      return `${nameOf(path.node, path.parentPath)}:${changed?.name}`;
  }
  return "";
}

/** Whether a node stands in the arguments of `struct`. */
function isInStruct(path: Path | null | undefined): boolean {
  if (path === null || path === undefined) return false;
  return (path.node.type === "CallExpression" && path.node.callee?.name === "struct") || isInStruct(path.parentPath);
}

const ignorer: Ignorer = { shouldIgnore: (path) => reasonOf(path as unknown as Path) };

/** What Stryker loads. */
export const strykerPlugins = [declareValuePlugin(PluginKind.Ignore, "qdb-unreachable", ignorer)];
