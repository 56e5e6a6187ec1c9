// SPDX-License-Identifier: CC0-1.0 OR MIT
// Code for hosts that no vector makes: a store that fails, a device, a second writer, a commit that passes by while a file
// is read, a caller with a bound or a range of its own, and one that wants to know how far a call is.

/** What is looked at of a node of the syntax tree. */
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

/** The name of a variable, or of the property that a member expression ends with. */
function lastName(node: Node | undefined): string | undefined {
  return node?.name ?? node?.property?.name ?? node?.property?.id?.name;
}

/** Why no vector reaches a node, or notices a change of it; undefined where one may. */
export function hostReason(node: Node): string | undefined {
  if (isProgress(node)) return "progress: no verb tells how far it is";
  const subject = subjectOf(node);
  if (subject === "maxBitmapBytes") return "a caller's bound of memory: no verb sets one";
  if (subject === "within") return "a range of the disk: no verb asks for one";
  if (subject === "fixedSize") return "a device: no vector is one";
  if (subject === "attempt" || isAboutCommit(node)) return "no vector makes a commit pass by while a file is read";
  if (isAboutFailure(node)) return "no vector makes a store fail, or has a second writer";
  return isAssertion(node) ? "a mistake of the library itself, which no vector can make it commit" : undefined;
}

/** Whether a node tells how far a call is. */
function isProgress({ type, key, callee, expression }: Node): boolean {
  if (type === "ExpressionStatement") return expression !== undefined && isProgress(expression);
  if (type === "ObjectProperty") return key?.name === "onProgress";
  return type.endsWith("CallExpression") && ["onProgress", "progress"].includes(lastName(callee) ?? "");
}

/** What a comparison, a choice or a step of a loop is about. */
function subjectOf({ type, test, left, argument }: Node): string | undefined {
  if (type === "ConditionalExpression") return test?.type === "BinaryExpression" ? subjectOf(test) : undefined;
  if (type === "BinaryExpression" || type === "LogicalExpression") return lastName(left);
  return type === "UpdateExpression" ? argument?.name : undefined;
}

/** Whether a node asks whether a commit passed by, or acts upon it. */
function isAboutCommit({ type, test, argument, callee }: Node): boolean {
  if (type === "IfStatement") return test?.name === "put";
  if (type === "UnaryExpression" || type === "AwaitExpression") return argument != null && isAboutCommit(argument);
  return type === "CallExpression" && callee?.name === "isUnchanged";
}

/** Whether a node asks for an error of the host, or ends a session upon one. */
function isAboutFailure({ type, test, consequent }: Node): boolean {
  if (type !== "IfStatement" || test === undefined) return false;
  const asked = test.type === "UnaryExpression" ? (test.argument ?? test) : test;
  if (asked.callee?.name === "isQdbError") return (asked.arguments ?? []).some(({ value }) => value === "IO");
  if (lastName(test.left) === "poisoned") return true;
  const [first] = Array.isArray(consequent?.body) ? (consequent.body as readonly Node[]) : [];
  return lastName(first?.expression?.left) === "poisoned";
}

/** Whether a node throws an error that is no QdbError, or does so on a condition. */
function isAssertion({ type, argument, consequent }: Node): boolean {
  if (type === "IfStatement") return consequent !== undefined && isAssertion(consequent);
  return type === "ThrowStatement" && argument?.type === "NewExpression" && argument.callee?.name === "Error";
}
