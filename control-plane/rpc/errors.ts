import { Metadata, type StatusObject, status } from '@grpc/grpc-js';

type RpcCode =
  | 'unauthenticated'
  | 'permission-denied'
  | 'invalid-argument'
  | 'resource-exhausted'
  | 'unavailable'
  | 'internal';

const codes: Readonly<Record<RpcCode, status>> = {
  unauthenticated: status.UNAUTHENTICATED,
  'permission-denied': status.PERMISSION_DENIED,
  'invalid-argument': status.INVALID_ARGUMENT,
  'resource-exhausted': status.RESOURCE_EXHAUSTED,
  unavailable: status.UNAVAILABLE,
  internal: status.INTERNAL,
};

export const rpcError = (failure: { readonly code: RpcCode; readonly message: string }): StatusObject => ({
  code: codes[failure.code],
  details: failure.message,
  metadata: new Metadata(),
});
