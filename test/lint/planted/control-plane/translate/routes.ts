import { ca } from "../ca/sign.ts"; export const routes = ca;
