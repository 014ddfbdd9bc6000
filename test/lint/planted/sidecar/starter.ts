import { main } from "./main.ts"; export const start = main;
