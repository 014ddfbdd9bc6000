import { kind } from "../crds/kinds.ts"; export const upward = kind;
