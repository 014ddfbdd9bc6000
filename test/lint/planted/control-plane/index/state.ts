import { informer } from "../kube/informer.ts"; export const state = informer;
