/** `weft.quota.v1`, by hand: these few fields go to and fro for as long as there is a global limit. */
import { fieldsOf, MessageWriter } from '../grpc/protobuf.ts';

/** What a limit was asked for. */
export interface QuotaUse {
  readonly limit: string;
  readonly demandPerSecond: number;
  readonly leasedPerSecond: number;
}

export interface QuotaLease {
  readonly limit: string;
  readonly tokensPerSecond: number;
  readonly validMs: number;
  readonly holders: number;
}

export function encodeLeaseRequest(node: string, uses: readonly QuotaUse[]): Buffer {
  const request = new MessageWriter().text(1, node);
  for (const { limit, demandPerSecond, leasedPerSecond } of uses) {
    request.message(2, new MessageWriter().text(1, limit).double(2, demandPerSecond).double(3, leasedPerSecond));
  }
  return request.finish();
}

export function decodeLeaseResponse(bytes: Buffer): QuotaLease[] {
  const leases: QuotaLease[] = [];
  for (const { number, value } of fieldsOf(bytes)) {
    if (number === 1 && typeof value !== 'number') leases.push(decodeLease(value));
  }
  return leases;
}

function decodeLease(bytes: Buffer): QuotaLease {
  const lease = { limit: '', tokensPerSecond: 0, validMs: 0, holders: 0 };
  for (const { number, value } of fieldsOf(bytes, 'told')) {
    if (typeof value !== 'number') {
      if (number === 1) lease.limit = value.toString();
    } else if (number === 2) lease.tokensPerSecond = value;
    else if (number === 3) lease.validMs = value;
    else if (number === 4) lease.holders = value;
  }
  return lease;
}
