// The field tables of all structures, for the tools that write spec/layout.json. This entry point is not published.
export { type Fields, type Struct, specName } from "../layout/struct.ts";
export { BITMAP_ENTRY } from "./bitmap-entry.ts";
export { EXTENSION_NAME, FEATURE_NAME } from "./extensions.ts";
export { CREATED, DISK_STAMP } from "./extra-data.ts";
export { DRAFT_HEADER, HEADER } from "./header.ts";
export { DESCRIPTOR_BITS, L1_CHECKSUM, L1_ENTRY } from "./l1.ts";
export { TLV_HEAD } from "./tlv.ts";
