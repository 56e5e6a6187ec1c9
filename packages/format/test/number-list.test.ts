import { describe, expect, test } from "vitest";
import { lowerBound, NumberList } from "../src/number-list.ts";

describe("a list of numbers", () => {
  test.each([0, 1, 255, 256, 257, 768, 2 ** 18, 2 ** 20 + 3])("holds %i numbers in order", (count) => {
    const list = new NumberList();
    for (let value = 0; value < count; value++) list.push(value * 3);
    expect(list.array()).toEqual(Float64Array.from({ length: count }, (_, value) => value * 3));
  });

  test("grows after its array was taken, and has the order of that array", () => {
    const list = new NumberList();
    for (const value of [5, 3, 9]) list.push(value);
    list.array().sort();
    expect([...list.array()]).toEqual([3, 5, 9]);
    list.push(1);
    expect([...list.array()]).toEqual([3, 5, 9, 1]);
  });
});

test.each([
  [0, 0],
  [2, 0],
  [3, 1],
  [4, 1],
  [5, 3],
])("the lower bound of %i in 2, 4, 4 is %i", (value, at) => {
  expect(lowerBound(Float64Array.of(2, 4, 4), value)).toBe(at);
});
