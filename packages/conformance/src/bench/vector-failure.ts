/** Thrown if a vector does not pass. The message is the reason, in one sentence. */
export class VectorFailure extends Error {
  /** `crash` if the program gave no valid answer, else `fail`. */
  readonly outcome: "fail" | "crash";
  /** What the vector expects, as text for a report. */
  readonly expected: string | undefined;
  /** What the program answered or wrote, as text for a report. */
  readonly came: string | undefined;
  /** The differences between the two, a line each. */
  readonly differences: readonly string[];

  constructor(
    outcome: "fail" | "crash",
    reason: string,
    more: { readonly expected?: string; readonly came?: string; readonly differences?: readonly string[] } = {},
  ) {
    super(reason);
    this.outcome = outcome;
    this.expected = more.expected;
    this.came = more.came;
    this.differences = more.differences ?? [];
  }
}
