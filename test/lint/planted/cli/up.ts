import { support } from "../test/support.ts"; export const up = support;
