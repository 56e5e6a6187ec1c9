// Files behind HTTP in a page, whose server is of another origin.
import { inject } from "vitest";
import { httpContract } from "../test/contract/http.ts";

httpContract(inject("rangeServer"), { inPage: true });
