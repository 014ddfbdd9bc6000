import { BinaryReader, BinaryWriter, WireType } from '@bufbuild/protobuf/wire';

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

/**
 * `weft.quota.v1`, by hand: these few fields go to and fro for as long as there is a global limit, and would keep the codec
 * of all other messages loaded.
 */
export function encodeLeaseRequest(node: string, uses: readonly QuotaUse[]): Buffer {
  const writer = new BinaryWriter().tag(1, WireType.LengthDelimited).string(node);
  for (const use of uses) {
    writer.tag(2, WireType.LengthDelimited).fork();
    writer.tag(1, WireType.LengthDelimited).string(use.limit);
    writer.tag(2, WireType.Bit64).double(use.demandPerSecond);
    writer.tag(3, WireType.Bit64).double(use.leasedPerSecond);
    writer.join();
  }
  return Buffer.from(writer.finish());
}

export function decodeLeaseResponse(bytes: Uint8Array): QuotaLease[] {
  const reader = new BinaryReader(bytes);
  const leases: QuotaLease[] = [];
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1 && type === WireType.LengthDelimited) leases.push(decodeLease(reader.bytes()));
    else reader.skip(type, field);
  }
  return leases;
}

function decodeLease(bytes: Uint8Array): QuotaLease {
  const reader = new BinaryReader(bytes);
  const lease = { limit: '', tokensPerSecond: 0, validMs: 0, holders: 0 };
  while (reader.pos < reader.len) {
    const [field, type] = reader.tag();
    if (field === 1 && type === WireType.LengthDelimited) lease.limit = reader.string();
    else if (field === 2 && type === WireType.Bit64) lease.tokensPerSecond = reader.double();
    else if (field === 3 && type === WireType.Varint) lease.validMs = reader.uint32();
    else if (field === 4 && type === WireType.Varint) lease.holders = reader.uint32();
    else reader.skip(type, field);
  }
  return lease;
}
