import { drawAllBitmaps, svgOf } from "@qdb/format/picture";
import { openQdb } from "@qdb/io-web";

const [input, list, map, problem] = ["input", "list", "map", "problem"].map((id) => document.getElementById(id));

/** Ends the work on the file before. */
let current = new AbortController();

/** Shows the bitmaps of a file. */
async function show(blob) {
  current.abort();
  current = new AbortController();
  const { signal } = current;
  list.textContent = problem.textContent = "";
  map.hidden = true;
  try {
    const file = await openQdb(blob, { signal });
    const items = file.bitmaps.map((bitmap) => {
      const item = document.createElement("li");
      // As text: a name can hold any character.
      item.textContent = `${bitmap.label}: ${bitmap.size} bytes, granularity ${bitmap.granularity}`;
      return item;
    });
    const svg = [...svgOf(blob.name, await drawAllBitmaps(file))];
    await file.close();
    signal.throwIfAborted();
    list.replaceChildren(...items);
    // As an image: the style in it would be refused by a policy of the page if it was a part of the page.
    URL.revokeObjectURL(map.src);
    map.src = URL.createObjectURL(new Blob(svg, { type: "image/svg+xml" }));
    map.hidden = false;
  } catch (error) {
    if (!signal.aborted) problem.textContent = String(error);
  }
}

input.addEventListener("change", () => input.files[0] && show(input.files[0]));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const [dropped] = event.dataTransfer.files;
  if (dropped) show(dropped);
});
