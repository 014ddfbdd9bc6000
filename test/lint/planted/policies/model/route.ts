import { kind } from "../crds/kinds.ts"; export const route = kind;
