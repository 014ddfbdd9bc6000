import { b } from "../b/filter.ts"; export const a = b;
