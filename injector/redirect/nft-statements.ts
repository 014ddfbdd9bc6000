import { isIPv4, isIPv6 } from 'node:net';
import { unreachable } from '@weft/policies/kit/result';
import { attribute, hostU32, nested, networkU16, text, u32 } from './attributes.ts';
import {
  concatType,
  encodeIp,
  encodeScalar,
  FIELDS,
  type FieldInfo,
  type Guard,
  IPPROTO,
  isOrdered,
  NFPROTO,
  padToRegister,
  parsePrefix,
} from './nft-fields.ts';
import {
  element,
  intervalElements,
  isInterval,
  keyBytes,
  type Report,
  SET_FLAG,
  VERDICT_TYPE,
  valueData,
  valueElements,
  verdictData,
} from './nft-sets.ts';
import type { Endpoint, Family, Field, RejectWith, Statement } from './ruleset.ts';

/** Statements as nf_tables expressions (linux/netfilter/nf_tables.h); each loads registers, compares them, or acts. */

const VERDICT_REGISTER = 0;
/** Registers of 32 bit; a key of several fields lies in a row of them. */
const REGISTER = 8;
const CMP = { '==': 0, '!=': 1, '<': 2, '<=': 3, '>': 4, '>=': 5 } as const;
const LOOKUP_INVERT = 1;
const NAT_DNAT = 1;
const NAT_PORT_SPECIFIED = 2;
const NUMGEN_RANDOM = 1;
const HASH_SEED = 0x57656674;
const INTEGER_TYPE = 4;

/** Type and code of linux/netfilter/nf_tables.h, enums nft_reject_types and nft_reject_inet_code: one code for both families. */
const REJECT: Readonly<Record<RejectWith, readonly [type: number, code: number]>> = {
  'tcp-reset': [1, 0],
  'no-route': [2, 0],
  'port-unreachable': [2, 1],
  'host-unreachable': [2, 2],
  'admin-prohibited': [2, 3],
};

/** A set that belongs to one rule; the kernel names it. */
export interface AnonymousSet {
  readonly flags: number;
  readonly keyType: number;
  readonly keyBytes: number;
  readonly hostOrderKey: boolean;
  readonly data?: { readonly type: number; readonly bytes: number };
  readonly elements: readonly Buffer[];
}

interface StatementContext {
  readonly family: Family;
  readonly report: Report;
  /** Guards that the rule already has. */
  readonly guarded: Set<string>;
  /** Registers a set for this rule and answers its id in the batch. */
  readonly addSet: (set: AnonymousSet) => number;
}

const expression = (name: string, ...attributes: readonly Buffer[]): Buffer =>
  nested(1, text(1, name), nested(2, ...attributes));

const ANONYMOUS_NAME = { set: '__set%d', map: '__map%d' } as const;

const load = (field: FieldInfo, register: number): Buffer => expression(field.expression, ...field.load(register));
const compare = (operator: number, value: Uint8Array): Buffer =>
  expression('cmp', u32(1, REGISTER), u32(2, operator), valueData(3, value));
const mask = (bytes: number, and: Uint8Array): Buffer =>
  expression(
    'bitwise',
    u32(1, REGISTER),
    u32(2, REGISTER),
    u32(3, bytes),
    valueData(4, and),
    valueData(5, Buffer.alloc(bytes)),
  );
const immediate = (register: number, value: Uint8Array): Buffer =>
  expression('immediate', u32(1, register), valueData(2, value));

function lookup(set: { name: string; id?: number }, destination: number | undefined, negate: boolean): Buffer {
  return expression(
    'lookup',
    text(1, set.name),
    u32(2, REGISTER),
    ...(destination === undefined ? [] : [u32(3, destination)]),
    ...(set.id === undefined ? [] : [u32(4, set.id)]),
    ...(negate ? [u32(5, LOOKUP_INVERT)] : []),
  );
}

function guard(context: StatementContext, wanted: Guard | undefined): Buffer[] {
  if (wanted === undefined) return [];
  if (wanted.field === 'meta nfproto' && context.family !== 'inet') {
    const own = context.family === 'ip' ? NFPROTO.ipv4 : NFPROTO.ipv6;
    if (own !== wanted.value) context.report(`a table of family ${context.family} cannot look at the other family`);
    return [];
  }
  const key = `${wanted.field}=${wanted.value}`;
  if (context.guarded.has(key)) return [];
  context.guarded.add(key);
  return [load(FIELDS[wanted.field], REGISTER), compare(CMP['=='], Buffer.from([wanted.value]))];
}

/** Guards first, then every field into its row of registers. */
function loadAll(context: StatementContext, fields: readonly Field[]): Buffer[] {
  const infos = fields.map((field) => FIELDS[field]);
  const guards = infos.flatMap((info) => guard(context, info.guard));
  let register = REGISTER;
  const loads = infos.map((info) => {
    const at = register;
    register += Math.ceil(info.bytes / 4);
    return load(info, at);
  });
  return [...guards, ...loads];
}

function encodeMatch(context: StatementContext, statement: Statement & { kind: 'match' }): Buffer[] {
  const field = FIELDS[statement.field];
  const operator = CMP[statement.op];
  const loads = loadAll(context, [statement.field]);
  const prefix = parsePrefix(field, statement.value);
  if (prefix !== undefined && (statement.op === '==' || statement.op === '!='))
    return [...loads, mask(field.bytes, prefix.mask), compare(operator, prefix.address)];
  const value = encodeScalar(field, statement.value);
  if (value === undefined) {
    context.report(`${statement.field} ${statement.op} ${statement.value}: not a value of this field`);
    return [];
  }
  if (operator >= CMP['<'] && !isOrdered(field)) context.report(`${statement.field} cannot be compared by order`);
  if (statement.op === '==' && (statement.field === 'meta l4proto' || statement.field === 'meta nfproto'))
    context.guarded.add(`${statement.field}=${value[0]}`);
  return [...loads, compare(operator, value)];
}

function encodeBits(context: StatementContext, statement: Statement & { kind: 'bits' }): Buffer[] {
  const field = FIELDS[statement.field];
  if (field.format !== 'hostU32') {
    context.report(`${statement.field} is not a bit field`);
    return [];
  }
  return [
    ...loadAll(context, [statement.field]),
    mask(4, hostU32(statement.mask)),
    compare(statement.set ? CMP['!='] : CMP['=='], Buffer.alloc(4)),
  ];
}

function encodeIn(context: StatementContext, statement: Statement & { kind: 'in' }): Buffer[] {
  const field = FIELDS[statement.field];
  if (statement.values.length === 0) {
    context.report(`${statement.field}: an empty list matches nothing`);
    return [];
  }
  const intervals = statement.values.some((value) => isInterval(field, value));
  const elements = intervals
    ? intervalElements(field, statement.values, context.report)
    : valueElements(field, statement.values, context.report);
  const id = context.addSet({
    flags: SET_FLAG.anonymous | SET_FLAG.constant | (intervals ? SET_FLAG.interval : 0),
    keyType: field.nftType,
    keyBytes: field.bytes,
    hostOrderKey: !isOrdered(field),
    elements,
  });
  return [
    ...loadAll(context, [statement.field]),
    lookup({ name: ANONYMOUS_NAME.set, id }, undefined, statement.negate),
  ];
}

function random(modulus: number): Buffer {
  return expression('numgen', u32(1, REGISTER), u32(2, modulus), u32(3, NUMGEN_RANDOM), u32(4, 0));
}

/** Jenkins' hash (enum nft_hash_attributes); a seed of the kernel's own would be another with each rewriting of the rule. */
function hashOfSource(context: StatementContext, family: 4 | 6, modulus: number): Buffer[] {
  const source: Field = family === 4 ? 'ip saddr' : 'ip6 saddr';
  const { bytes } = FIELDS[source];
  const jenkins = u32(7, 0);
  return [
    ...loadAll(context, [source]),
    expression('hash', u32(1, REGISTER), u32(2, REGISTER), u32(3, bytes), u32(4, modulus), u32(5, HASH_SEED), jenkins),
  ];
}

function encodeRandomVerdict(context: StatementContext, statement: Statement & { kind: 'randomVerdict' }): Buffer[] {
  const [first, ...others] = statement.verdicts;
  if (first === undefined) {
    context.report('a random verdict needs one at least');
    return [];
  }
  if (others.length === 0) return [expression('immediate', u32(1, VERDICT_REGISTER), verdictData(2, first))];
  const id = context.addSet({
    flags: SET_FLAG.anonymous | SET_FLAG.constant | SET_FLAG.map,
    keyType: INTEGER_TYPE,
    keyBytes: 4,
    hostOrderKey: true,
    data: { type: VERDICT_TYPE, bytes: 0 },
    elements: statement.verdicts.map((verdict, index) => element(hostU32(index), verdictData(2, verdict))),
  });
  return [random(statement.verdicts.length), lookup({ name: ANONYMOUS_NAME.map, id }, VERDICT_REGISTER, false)];
}

function endpointBytes(endpoint: Endpoint, family: 4 | 6, report: Report): Buffer {
  const right = family === 4 ? isIPv4(endpoint.address) : isIPv6(endpoint.address);
  const address = right ? encodeIp(endpoint.address) : undefined;
  const port = encodeScalar(FIELDS['th dport'], endpoint.port);
  if (address === undefined || port === undefined || endpoint.port === 0) {
    report(`endpoint ${endpoint.address} port ${endpoint.port} is not an IPv${family} address and port`);
    return Buffer.alloc(family === 4 ? 8 : 20);
  }
  return Buffer.concat([address, padToRegister(port)]);
}

function encodeDnat(context: StatementContext, statement: Statement & { kind: 'dnat' }): Buffer[] {
  const [first] = statement.endpoints;
  if (first === undefined) {
    context.report('dnat needs an endpoint');
    return [];
  }
  if (!context.guarded.has(`meta l4proto=${IPPROTO.tcp}`) && !context.guarded.has(`meta l4proto=${IPPROTO.udp}`))
    context.report('dnat to a port needs a match on the transport protocol before it');
  const family = isIPv6(first.address) ? 6 : 4;
  const addressField = FIELDS[family === 4 ? 'ip daddr' : 'ip6 daddr'];
  const portField = FIELDS['th dport'];
  const portRegister = REGISTER + addressField.bytes / 4;
  const guards = guard(context, addressField.guard);
  const data = statement.endpoints.map((endpoint) => endpointBytes(endpoint, family, context.report));
  const nat = expression(
    'nat',
    u32(1, NAT_DNAT),
    u32(2, family === 4 ? NFPROTO.ipv4 : NFPROTO.ipv6),
    u32(3, REGISTER),
    u32(5, portRegister),
    u32(7, NAT_PORT_SPECIFIED),
  );
  const [only] = data;
  if (data.length === 1 && only !== undefined) {
    const address = only.subarray(0, addressField.bytes);
    const port = only.subarray(addressField.bytes, addressField.bytes + portField.bytes);
    return [...guards, immediate(REGISTER, address), immediate(portRegister, port), nat];
  }
  const fields = [addressField, portField];
  const id = context.addSet({
    flags: SET_FLAG.anonymous | SET_FLAG.constant | SET_FLAG.map,
    keyType: INTEGER_TYPE,
    keyBytes: 4,
    hostOrderKey: true,
    data: { type: concatType(fields), bytes: keyBytes(fields) },
    elements: data.map((value, index) => element(hostU32(index), valueData(2, value))),
  });
  const index = statement.by === 'source' ? hashOfSource(context, family, data.length) : [random(data.length)];
  return [...guards, ...index, lookup({ name: ANONYMOUS_NAME.map, id }, REGISTER, false), nat];
}

function encodeRedirect(context: StatementContext, port: number): Buffer[] {
  const bytes = encodeScalar(FIELDS['th dport'], port);
  if (bytes === undefined || port === 0) {
    context.report(`port ${port} is not a port`);
    return [];
  }
  return [immediate(REGISTER, networkU16(port)), expression('redir', u32(1, REGISTER), u32(3, NAT_PORT_SPECIFIED))];
}

export function encodeStatement(context: StatementContext, statement: Statement): Buffer[] {
  switch (statement.kind) {
    case 'match':
      return encodeMatch(context, statement);
    case 'bits':
      return encodeBits(context, statement);
    case 'in':
      return encodeIn(context, statement);
    case 'inSet':
      return [...loadAll(context, statement.fields), lookup({ name: statement.set }, undefined, statement.negate)];
    case 'vmap':
      return [...loadAll(context, statement.fields), lookup({ name: statement.map }, VERDICT_REGISTER, false)];
    case 'randomVerdict':
      return encodeRandomVerdict(context, statement);
    case 'verdict':
      return [expression('immediate', u32(1, VERDICT_REGISTER), verdictData(2, statement.verdict))];
    case 'counter':
      return [expression('counter')];
    case 'setMark':
      return [immediate(REGISTER, hostU32(statement.mark)), expression('meta', u32(2, 3), u32(3, REGISTER))];
    case 'redirect':
      return encodeRedirect(context, statement.port);
    case 'dnat':
      return encodeDnat(context, statement);
    case 'masquerade':
      return [expression('masq')];
    case 'reject': {
      const [type, code] = REJECT[statement.with];
      return [
        ...(statement.with === 'tcp-reset' ? guard(context, { field: 'meta l4proto', value: IPPROTO.tcp }) : []),
        expression('reject', u32(1, type), attribute(2, Buffer.from([code]))),
      ];
    }
    default:
      return unreachable(statement);
  }
}
