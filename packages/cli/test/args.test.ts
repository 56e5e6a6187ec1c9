import { describe, expect, test } from "vitest";
import { parseCommandLine } from "../src/shell/args.ts";
import { type CommandSpec, OUTPUT, PROGRESS } from "../src/shell/command.ts";

const spec: CommandSpec = {
  name: "test",
  summary: "",
  synopsis: [""],
  description: [],
  operands: { min: 1, max: 2, names: ["FILE", "BITMAP"] },
  options: [
    { long: "add", help: "" },
    { long: "merge", value: "SRC", repeatable: true, help: "" },
    { long: "granularity", short: "g", value: "SIZE", help: "" },
    OUTPUT,
    ...PROGRESS,
  ],
  examples: [],
  run: async () => 0,
};
const parse = (...args: string[]): ReturnType<typeof parseCommandLine> => parseCommandLine(spec, args);

test("options keep their order, among operands", () => {
  const { operands, given } = parse("--merge", "a", "file", "--add", "-g64K", "--merge=b", "name");
  expect(operands).toEqual(["file", "name"]);
  expect(given).toEqual([
    { long: "merge", value: "a" },
    { long: "add", value: undefined },
    { long: "granularity", value: "64K" },
    { long: "merge", value: "b" },
  ]);
});

test("an optional value stands behind =, and takes no operand", () => {
  expect(parse("-p", "json").operands).toEqual(["json"]);
  expect(parse("--progress=json", "f").given).toEqual([{ long: "progress", value: "json" }]);
  expect(parse("-pq", "f").given.map(({ long }) => long)).toEqual(["progress", "quiet"]);
});

test("behind -- everything is an operand, and - is one anywhere", () => {
  expect(parse("--", "--add", "-g").operands).toEqual(["--add", "-g"]);
  expect(parse("-", "x").operands).toEqual(["-", "x"]);
});

describe("help", () => {
  test.each([[["--help"]], [["-h"]], [["--nosuch", "-h"]], [["-dash", "f", "--help", "g", "h", "i"]]])(
    "%j asks for it",
    (args) => {
      expect(parse(...args)).toEqual({ operands: [], given: [], help: true });
    },
  );

  test.each([
    [["f", "-dash"], 'unknown option "-d" in "-dash"'],
    [["f", "-ohm"], 'unknown option "-o" in "-ohm"'],
    [["f", "-hx"], 'option -h stands alone, "-hx" is given'],
    [["f", "-qh"], 'option -h stands alone, "-qh" is given'],
    [["f", "-hh"], 'option -h stands alone, "-hh" is given'],
    [["f", "-h=1"], 'option -h stands alone, "-h=1" is given'],
    [["f", "-hg64K"], 'option -h stands alone, "-hg64K" is given'],
    [["f", "--help=me"], 'option --help takes no value, "me" is given'],
    [["f", "--merge", "-h"], 'option --merge needs SRC, and "-h" looks like an option; write --merge=SRC'],
    [["f", "--merge", "--help"], 'option --merge needs SRC, and "--help" looks like an option; write --merge=SRC'],
  ])("%j does not, and is wrong", (args, message) => {
    expect(() => parse(...args)).toThrowError(message);
  });

  test.each([
    [["f", "-gh"], [{ long: "granularity", value: "h" }], ["f"]],
    [
      ["f", "-qgh"],
      [
        { long: "quiet", value: undefined },
        { long: "granularity", value: "h" },
      ],
      ["f"],
    ],
    [["--merge=--help", "f"], [{ long: "merge", value: "--help" }], ["f"]],
    [["f", "--", "-h"], [], ["f", "-h"]],
    [["--", "--help", "-dash"], [], ["--help", "-dash"]],
    [["--", "f", "--"], [], ["f", "--"]],
  ])("%j does not", (args, given, operands) => {
    expect(parse(...args)).toEqual({ operands, given, help: false });
  });
});

describe("wrong usage", () => {
  test.each([
    [["f", "--nosuch"], 'unknown option "--nosuch"'],
    [["f", "-x"], 'unknown option "-x"; put names that begin with a dash after --'],
    [["f", "-qx"], 'unknown option "-x" in "-qx"; put names that begin with a dash after --'],
    [["f", "--__proto__"], 'unknown option "--__proto__"'],
    [["f", "--merge"], "option --merge needs a value, SRC"],
    [["f", "--merge", "--add"], 'option --merge needs SRC, and "--add" looks like an option; write --merge=SRC'],
    [["f", "--add=1"], 'option --add takes no value, "1" is given'],
    [["f", "--output=xml"], 'option --output takes human or json, not "xml"'],
    [["f", "--progress=xml"], 'option --progress takes json, not "xml"'],
    [["f", "-g1", "-g2"], "option -g is given twice"],
    [[], "FILE is missing"],
    [["f", "b", "c"], '"c" is one operand too many'],
  ])("%j", (args, message) => {
    expect(() => parse(...args)).toThrowError(`${message}; try: qdb test --help`);
  });

  test("a value that begins with a dash is taken behind =", () => {
    expect(parse("f", "--merge=--add").given).toEqual([{ long: "merge", value: "--add" }]);
    expect(parse("f", "--merge", "-").given).toEqual([{ long: "merge", value: "-" }]);
  });
});
