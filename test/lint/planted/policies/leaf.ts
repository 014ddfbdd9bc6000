import { ca } from "../control-plane/ca/sign.ts"; export const leaf = ca;
