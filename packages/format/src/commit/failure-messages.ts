// What a failed session says of the state of the file (spec §5, Failure).

/** What is true of a file when a commit fails: before the primary is touched, and from then on. */
export interface FailureMessages {
  readonly before: string;
  readonly within: string;
}
/** Of a change of what the file says. */
export const CHANGE: FailureMessages = {
  before: "the file is in its old state",
  within: "whether the file is in its old or its new state is unknown; both are whole",
};
const STORED = "the change itself is stored; only packing the file failed";
/** Of moving clusters afterwards. */
export const PACKING: FailureMessages = { before: STORED, within: STORED };

/** What is true of a change when the path does not name the file any more, or that cannot be seen. */
export interface PathMessages {
  readonly gone: string;
  readonly unknown: string;
}
/** Of a change. */
export const DONE: PathMessages = {
  gone: "the change is stored in it, but no longer under this path; open the path anew and make the change again",
  unknown: "the change is stored, but whether under this path is unknown; open the path anew",
};
/** Of success with nothing to change. */
export const NOTHING_DONE: PathMessages = {
  gone: "nothing was to be changed; open the path anew",
  unknown: "nothing was to be changed; open the path anew",
};
