import type { pushes } from "../xds/server.ts"; export const informer = 1; export type P = typeof pushes;
