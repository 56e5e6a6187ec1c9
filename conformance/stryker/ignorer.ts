// SPDX-License-Identifier: CC0-1.0 OR MIT
// Leaves out mutants that no corpus can notice, because the protocol does not show what they change. README.md has the
// reasons. A node is found by its form, or by a name that callers of @qdb/format see.
import type { Ignorer } from "@stryker-mutator/api/ignore";
import { declareValuePlugin, PluginKind } from "@stryker-mutator/api/plugin";
import { hostReason, type Node } from "./failing-hosts.ts";
import { UNREACHED } from "./unreached.ts";

interface Path {
  readonly node: Node;
  readonly parentPath?: Path | null;
}

/** Two words in a row: a text for people. No key, code, flag or field of the format looks like this. */
const PROSE = /[A-Za-z0-9_,:;)-] +[a-zA-Z(]/;
/** Keys of `Where` that are never compared. */
const PLACE: readonly (string | undefined)[] = ["structure", "field", "offset"];
const NAMED = ["FunctionDeclaration", "ClassDeclaration", "ClassMethod"];
/** White space of the JSON form, which is not compared. */
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

/** Whether an object only says where a problem is. */
function isWhere(node: Node | undefined): boolean {
  const keys = keysOf(node);
  return (
    keys.includes("structure") && keys.every((key) => PLACE.includes(key) || key === "bitmap" || key === undefined)
  );
}

/** Why a node and everything in it is left out; undefined if it is not. */
function reasonOf({ node, parentPath }: Path): string | undefined {
  const parent = parentPath?.node;
  const key = node.type === "ObjectProperty" ? node.key?.name : undefined;
  if (isProse(node) || key === "message") return "text of a message: never compared";
  if (node.type === "StringLiteral" && BLANK.test(String(node.value))) return "white space of JSON: never compared";
  if (NAMED.includes(node.type)) return UNREACHED.get(nameOf(node, parentPath) ?? "");
  if (node.type === "StringLiteral" && isInStruct(parentPath)) return "documentation in a field table: for people";
  if (node.type === "ObjectExpression" && parent?.callee?.name === "QdbError")
    return "where an error is: a refusal is judged by its code";
  if (isWhere(node) && !keysOf(node).includes("bitmap")) return "where a problem is: never compared";
  if (PLACE.includes(key ?? "") && isWhere(parent)) return "where a problem is: never compared";
  return hostReason(node);
}

/** The name of a function or class at the top of a module, or of a member as CLASS.MEMBER; undefined for all else. */
function nameOf(node: Node, parentPath: Path | null | undefined): string | undefined {
  if (node.type === "ClassMethod") {
    const owner = parentPath?.parentPath?.node;
    return owner?.type === "ClassDeclaration" ? `${owner.id?.name}.${node.key?.name}` : undefined;
  }
  const above = parentPath?.node.type;
  return above === "Program" || above?.startsWith("Export") === true ? node.id?.name : undefined;
}

/** Whether a node is part of an argument of `struct`. */
function isInStruct(path: Path | null | undefined): boolean {
  if (path === null || path === undefined) return false;
  return (path.node.type === "CallExpression" && path.node.callee?.name === "struct") || isInStruct(path.parentPath);
}

const ignorer: Ignorer = { shouldIgnore: (path) => reasonOf(path as unknown as Path) };

/** The plugins that Stryker loads. */
export const strykerPlugins = [declareValuePlugin(PluginKind.Ignore, "qdb-unreachable", ignorer)];
