import { KubeConfig } from "@kubernetes/client-node"; export const kube = KubeConfig;
