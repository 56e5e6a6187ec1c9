import { drawAllBitmaps, svgOf } from "@qdb/format/picture";
import { openQdb } from "@qdb/io-web";

const [input, list, map, problem] = ["input", "list", "map", "problem"].map((id) => document.getElementById(id));

/** Shows the bitmaps of a file. */
async function show(blob) {
  list.textContent = map.textContent = problem.textContent = "";
  try {
    const file = await openQdb(blob);
    for (const bitmap of file.bitmaps) {
      const item = document.createElement("li");
      // As text: a name can hold any character.
      item.textContent = `${bitmap.label}: ${bitmap.size} bytes, granularity ${bitmap.granularity}`;
      list.append(item);
    }
    const svg = [...svgOf(blob.name, await drawAllBitmaps(file))].join("");
    map.append(new DOMParser().parseFromString(svg, "image/svg+xml").documentElement);
    await file.close();
  } catch (error) {
    problem.textContent = String(error);
  }
}

input.addEventListener("change", () => input.files[0] && show(input.files[0]));
document.addEventListener("dragover", (event) => event.preventDefault());
document.addEventListener("drop", (event) => {
  event.preventDefault();
  const [dropped] = event.dataTransfer.files;
  if (dropped) show(dropped);
});
