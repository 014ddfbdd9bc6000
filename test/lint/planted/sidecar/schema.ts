import { kind } from "../policies/crds/kinds.ts"; export const schema = kind;
