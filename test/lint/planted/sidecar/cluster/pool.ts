import { b } from "../filters/b/filter.ts"; export const pool = b;
