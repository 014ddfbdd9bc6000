import { up } from "../../cli/up.ts"; export const run = up;
