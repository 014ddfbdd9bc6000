import { dlopen } from "node:ffi"; export const open = dlopen;
