// A qcow2 image as a container of edits.
import type { BitmapShape, Problem } from "@qdb/format";
import { type ClusterMap, type Container, type ContainerBitmap, type EntryContents, FLAG } from "@qdb/format/container";
import { equalBytes } from "@qdb/format/internal";
import type { Qcow2Bitmap } from "../bitmaps/bitmap.ts";
import type { EditableImage } from "./editable-image.ts";

/** What qcow2 cannot hold, and what to do instead. */
const LACKS: Container["lacks"] = {
  records: "a qcow2 image holds no id, disk, comment or time of a bitmap; keep the bitmap in a QDB file",
  freeze:
    "a qcow2 image holds no frozen bitmaps; disable this one and add another that collects: --disable, and --add of a new one",
  resize:
    "a bitmap of a qcow2 image is as long as the disk of the image; resize the image with qemu-img resize, or keep the bitmap in a QDB file",
};

/** Returns an image as a container of edits. */
export function containerOf({ bitmaps, image }: EditableImage): Container {
  return {
    bitmaps: bitmaps.map((bitmap) => new EditableBitmap(bitmap)),
    clusterSize: image.clusterSize,
    diskSize: image.virtualSize,
    lacks: LACKS,
    // A qcow2 image has one header.
    refuseSource: () => undefined,
  };
}

/** A bitmap of an image, as edits see it. */
class EditableBitmap implements ContainerBitmap {
  readonly #bitmap: Qcow2Bitmap;
  #map: ClusterMap | undefined;

  constructor(bitmap: Qcow2Bitmap) {
    this.#bitmap = bitmap;
  }

  get label(): string {
    return this.#bitmap.label;
  }

  get name(): string | undefined {
    return this.#bitmap.name;
  }

  get shape(): BitmapShape {
    return this.#bitmap.shape;
  }

  /** The bits as they were stored last. The same object at each access: pending bits are compared with it. */
  get map(): ClusterMap | undefined {
    if (this.#map === undefined && this.#bitmap.storageProblem === undefined) this.#map = this.#bitmap.storedMap();
    return this.#map;
  }

  findProblem(): Problem | undefined {
    return this.#bitmap.problem;
  }

  parseEntry(): EntryContents | undefined {
    const { shapeProblem, nameBytes, enabled, inUse } = this.#bitmap;
    if (shapeProblem !== undefined) return undefined;
    const flags = (enabled ? FLAG.enabled : 0) | (inUse ? FLAG.in_use : 0);
    return { nameBytes, flags, extraData: [] };
  }

  hasEntry({ nameBytes, flags }: EntryContents): boolean {
    const entry = this.parseEntry();
    return entry !== undefined && entry.flags === flags && equalBytes(entry.nameBytes, nameBytes);
  }
}
