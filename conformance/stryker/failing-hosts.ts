// SPDX-License-Identifier: CC0-1.0 OR MIT
// Code for callers and hosts that the corpus does not have: reads and writes that fail, a block device, a caller that
// sets a limit of memory or a range of the disk, or asks for progress. It is found by public names only.

/** A node of the syntax tree, as far as the ignorer reads it. */
export interface Node {
  readonly type: string;
  readonly name?: string;
  readonly value?: unknown;
  readonly key?: Node;
  readonly id?: Node | null;
  readonly expressions?: readonly Node[];
  readonly expression?: Node;
  readonly test?: Node;
  readonly left?: Node;
  readonly argument?: Node | null;
  readonly consequent?: Node;
  readonly body?: Node | readonly Node[];
  readonly arguments?: readonly Node[];
  readonly callee?: Node;
  readonly property?: Node;
  readonly properties?: readonly Node[];
  readonly quasis?: readonly { readonly value: { readonly raw: string } }[];
}

/** The name of a variable, or of the property of a member expression. */
function lastName(node: Node | undefined): string | undefined {
  return node?.name ?? node?.property?.name ?? node?.property?.id?.name;
}

/** Why no vector reaches a node or can notice a change of it; undefined if one may. */
export function hostReason(node: Node): string | undefined {
  if (isProgress(node)) return "progress: no verb reports how far it is";
  const subject = subjectOf(node);
  if (subject === "maxBitmapBytes") return "a caller's limit of memory: no verb sets one";
  if (subject === "within") return "a range of the disk: no verb asks for one";
  if (subject === "fixedSize") return "a block device: no vector is one";
  if (isAboutFailure(node)) return "no vector makes a read or a write fail";
  return isAssertion(node) ? "a mistake of the library itself, which no vector can cause" : undefined;
}

/** Whether a node calls or passes the caller's progress callback. */
function isProgress({ type, key, callee, expression }: Node): boolean {
  if (type === "ExpressionStatement") return expression !== undefined && isProgress(expression);
  if (type === "ObjectProperty") return key?.name === "onProgress";
  return type.endsWith("CallExpression") && lastName(callee) === "onProgress";
}

/** What a comparison or a choice is about. */
function subjectOf({ type, test, left }: Node): string | undefined {
  if (type === "ConditionalExpression") return test?.type === "BinaryExpression" ? subjectOf(test) : undefined;
  return type === "BinaryExpression" || type === "LogicalExpression" ? lastName(left) : undefined;
}

/** Whether a node tests for an error of the host. */
function isAboutFailure({ type, test }: Node): boolean {
  if (type !== "IfStatement" || test === undefined) return false;
  const asked = test.type === "UnaryExpression" ? (test.argument ?? test) : test;
  return asked.callee?.name === "isQdbError" && (asked.arguments ?? []).some(({ value }) => value === "IO");
}

/** Whether a node throws an Error that is not a QdbError, on a condition or without one. */
function isAssertion({ type, argument, consequent }: Node): boolean {
  if (type === "IfStatement") return consequent !== undefined && isAssertion(consequent);
  return type === "ThrowStatement" && argument?.type === "NewExpression" && argument.callee?.name === "Error";
}
