import { ok } from "../kit/result.ts"; export const kind = ok;
