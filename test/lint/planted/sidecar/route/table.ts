import { a } from "../filters/a/filter.ts"; export const route = a;
