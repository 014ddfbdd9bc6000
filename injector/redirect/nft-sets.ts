import { ATTRIBUTE_BYTES_MAX, attribute, nested, text, u32 } from './attributes.ts';
import { encodeScalar, type FieldInfo, isOrdered, padToRegister, parsePrefix } from './nft-fields.ts';
import type { Interval, Scalar, Verdict } from './ruleset.ts';

/** The elements of sets and maps as bytes (linux/netfilter/nf_tables.h, enum nft_set_elem_attributes). */

export const SET_FLAG = { anonymous: 1, constant: 2, interval: 4, map: 8 } as const;
export const VERDICT_TYPE = 0xffffff00;
const ELEMENT_INTERVAL_END = 1;

/** Attributes hold 64 KiB, so that large sets are sent as several messages; a margin is left for the attributes around. */
const ELEMENTS_BYTES_MAX = ATTRIBUTE_BYTES_MAX - 1024;

const VERDICT_CODE = { accept: 1, drop: 0, return: -5, jump: -3, goto: -4 } as const;

export type Report = (problem: string) => void;

/** nest(DATA) of a verdict: what stands in verdict maps and in `immediate`. */
export function verdictData(type: number, verdict: Verdict): Buffer {
  const code = u32(1, VERDICT_CODE[verdict.kind]);
  const chain = verdict.kind === 'jump' || verdict.kind === 'goto' ? [text(2, verdict.chain)] : [];
  return nested(type, nested(2, code, ...chain));
}

export const valueData = (type: number, value: Uint8Array): Buffer => nested(type, attribute(1, value));

export const element = (key: Uint8Array, data?: Buffer, flags = 0): Buffer =>
  nested(1, ...(flags === 0 ? [] : [u32(3, flags)]), valueData(1, key), ...(data === undefined ? [] : [data]));

interface Range {
  readonly low: bigint;
  readonly high: bigint;
}

const toBigInt = (bytes: Buffer): bigint => BigInt(`0x${bytes.toString('hex')}`);
const fromBigInt = (value: bigint, bytes: number): Buffer =>
  Buffer.from(value.toString(16).padStart(bytes * 2, '0'), 'hex');

function toRange(field: FieldInfo, value: Interval, report: Report): Range | undefined {
  if (typeof value === 'object') {
    const from = encodeScalar(field, value.from);
    const to = encodeScalar(field, value.to);
    if (from !== undefined && to !== undefined && from.compare(to) <= 0)
      return { low: toBigInt(from), high: toBigInt(to) };
    report(`range ${value.from}-${value.to} is not valid here`);
    return undefined;
  }
  const prefix = parsePrefix(field, value);
  if (prefix !== undefined) {
    const low = toBigInt(prefix.address);
    const hostBits = (1n << BigInt(field.bytes * 8)) - 1n - toBigInt(prefix.mask);
    return { low, high: low + hostBits };
  }
  const scalar = encodeScalar(field, value);
  if (scalar !== undefined) return { low: toBigInt(scalar), high: toBigInt(scalar) };
  report(`value ${value} is not valid here`);
  return undefined;
}

/** Sorted and merged: the kernel refuses ranges that overlap, and a user may well write them. */
export function mergeRanges(ranges: readonly Range[]): Range[] {
  const merged: Range[] = [];
  for (const range of ranges.toSorted((a, b) => (a.low < b.low ? -1 : a.low > b.low ? 1 : 0))) {
    const last = merged.at(-1);
    if (last !== undefined && range.low <= last.high + 1n) {
      if (range.high > last.high) merged[merged.length - 1] = { low: last.low, high: range.high };
    } else merged.push(range);
  }
  return merged;
}

export const isInterval = (field: FieldInfo, value: Interval): boolean =>
  typeof value === 'object' || parsePrefix(field, value) !== undefined;

/**
 * An interval set lists where each range starts and where the next gap starts. Like nft(8) the first gap, from zero on, is said too.
 */
export function intervalElements(field: FieldInfo, values: readonly Interval[], report: Report): Buffer[] {
  if (!isOrdered(field)) {
    report('ranges need a field in network order');
    return [];
  }
  const ranges = mergeRanges(
    values.map((value) => toRange(field, value, report)).filter((range) => range !== undefined),
  );
  const end = (key: bigint): Buffer => element(fromBigInt(key, field.bytes), undefined, ELEMENT_INTERVAL_END);
  const beyond = 1n << BigInt(field.bytes * 8);
  const first = ranges[0];
  const elements = first !== undefined && first.low > 0n ? [end(0n)] : [];
  for (const range of ranges) {
    elements.push(element(fromBigInt(range.low, field.bytes)));
    if (range.high + 1n < beyond) elements.push(end(range.high + 1n));
  }
  return elements;
}

/** Single values, each once. */
export function valueElements(field: FieldInfo, values: readonly Interval[], report: Report): Buffer[] {
  const keys = new Map<string, Buffer>();
  for (const value of values) {
    const key = typeof value === 'object' ? undefined : encodeScalar(field, value);
    if (key === undefined) report(`value ${JSON.stringify(value)} is not valid here`);
    else keys.set(key.toString('hex'), key);
  }
  return [...keys.values()].map((key) => element(key));
}

/** The key of one element of a concatenation; a set of one field takes the same form without padding. */
export function encodeKey(fields: readonly FieldInfo[], values: readonly Scalar[], report: Report): Buffer | undefined {
  const parts: Buffer[] = [];
  fields.forEach((field, index) => {
    const value = values[index];
    const part = value === undefined ? undefined : encodeScalar(field, value);
    if (part === undefined) report(`element ${JSON.stringify(values)}: part ${index + 1} is not valid here`);
    else parts.push(fields.length === 1 ? part : padToRegister(part));
  });
  if (values.length > fields.length) report(`element ${JSON.stringify(values)} has too many parts`);
  return parts.length === fields.length ? Buffer.concat(parts) : undefined;
}

export const keyBytes = (fields: readonly FieldInfo[]): number =>
  fields.length === 1 ? (fields[0]?.bytes ?? 0) : fields.reduce((sum, field) => sum + ((field.bytes + 3) & ~3), 0);

/** Groups elements so that each group fits one attribute. */
export function chunkElements(elements: readonly Buffer[]): Buffer[][] {
  const chunks: Buffer[][] = [];
  let bytes = 0;
  for (const each of elements) {
    const chunk = chunks.at(-1);
    if (chunk === undefined || bytes + each.length > ELEMENTS_BYTES_MAX) {
      chunks.push([each]);
      bytes = each.length;
    } else {
      chunk.push(each);
      bytes += each.length;
    }
  }
  return chunks;
}
