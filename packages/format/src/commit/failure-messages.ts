// Texts that an error of a session ends with: they say in which state the failure leaves the file (spec §5, Failure).

/** Texts for a commit that fails before it writes the primary, and for one that fails while or after it writes the primary. */
export interface FailureMessages {
  readonly beforePrimary: string;
  readonly fromPrimaryOn: string;
}

/** Texts for a commit of changes that a caller asked for. */
export const CHANGE: FailureMessages = {
  beforePrimary: "the file is in its old state",
  fromPrimaryOn: "whether the file is in its old or its new state is unknown; both are whole",
};

const ONLY_PACKING = "the change itself is stored; only packing the file failed";
/** Texts for a commit that moves clusters to make the file shorter, after the change itself was committed. */
export const PACKING: FailureMessages = { beforePrimary: ONLY_PACKING, fromPrimaryOn: ONLY_PACKING };

/** Texts for a path that names another file or no file (`changed`), and for a path that cannot be examined (`unknown`). */
export interface PathMessages {
  readonly changed: string;
  readonly unknown: string;
}

/** Texts for a session that stored a change. */
export const STORED: PathMessages = {
  changed: "the change is stored in it, but no longer under this path; open the path anew and make the change again",
  unknown: "the change is stored, but whether under this path is unknown; open the path anew",
};

/** Texts for a session that had nothing to change. */
export const NOTHING_CHANGED: PathMessages = {
  changed: "nothing was to be changed; open the path anew",
  unknown: "nothing was to be changed; open the path anew",
};
