/** What exports spans: a bundle of its own, since few have it on and it is larger than all of the rest. */
export * as api from '@opentelemetry/api';
export { NodeSDK } from '@opentelemetry/sdk-node';
