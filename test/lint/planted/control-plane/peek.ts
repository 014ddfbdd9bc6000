import { route } from "../sidecar/route/table.ts"; export const peek = route;
