import { informer } from "../kube/informer.ts"; export const pushes = informer;
