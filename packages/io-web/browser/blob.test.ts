// Blobs and Files in a page.
import { blobContract } from "../test/contract/blob.ts";

blobContract();
