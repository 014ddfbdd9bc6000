import { err, ok, type Result } from '@weft/policies/kit/result';
import { attribute, hostU32, message, nested, text, u32 } from './attributes.ts';
import { concatType, FIELDS, isOrdered, NFPROTO } from './nft-fields.ts';
import {
  chunkElements,
  element,
  encodeKey,
  intervalElements,
  isInterval,
  keyBytes,
  type Report,
  SET_FLAG,
  VERDICT_TYPE,
  valueElements,
  verdictData,
} from './nft-sets.ts';
import { type AnonymousSet, encodeStatement } from './nft-statements.ts';
import type { BaseHook, Chain, Family, NamedSet, Rule, Ruleset } from './ruleset.ts';

/**
 * A ruleset as one nf_tables transaction: the messages between BATCH_BEGIN and BATCH_END are applied all together or not at all
 * (linux/netfilter/nfnetlink.h). The table is made, deleted and made anew, so that the outcome does not depend on what was there.
 */

const SUBSYSTEM_NFTABLES = 10;
const BATCH_BEGIN = 0x10;
const BATCH_END = 0x11;

/** Message types of linux/netfilter/nf_tables.h, enum nf_tables_msg_types. */
export const MESSAGE = {
  newTable: 0,
  getTable: 1,
  deleteTable: 2,
  newChain: 3,
  newRule: 6,
  getRule: 7,
  newSet: 9,
  newElement: 12,
} as const;

/** linux/netlink.h. */
const FLAG = { request: 0x1, ack: 0x4, excl: 0x200, create: 0x400, append: 0x800, dump: 0x300 } as const;

const FAMILY: Readonly<Record<Family, number>> = { inet: NFPROTO.inet, ip: NFPROTO.ipv4, ip6: NFPROTO.ipv6 };
const HOOK: Readonly<Record<BaseHook['hook'], number>> = {
  prerouting: 0,
  input: 1,
  forward: 2,
  output: 3,
  postrouting: 4,
};

const NAME = /^[A-Za-z_][A-Za-z0-9_./-]{0,200}$/;
const RULE_NAME_BYTES_MAX = 120;
const COMMENT_TAG = 0;

export interface InvalidRuleset {
  readonly kind: 'invalid-ruleset';
  readonly problems: readonly string[];
}

export interface Batch {
  readonly bytes: Buffer;
  /** The message that asks for an acknowledgement: when it comes, everything was applied. */
  readonly ackSequence: number;
  /** What each message was about, for errors. */
  readonly subjects: ReadonlyMap<number, string>;
}

class BatchWriter {
  readonly #family: number;
  readonly #messages: Buffer[] = [];
  readonly #subjects = new Map<number, string>();
  #sequence = 0;

  constructor(family: Family) {
    this.#family = FAMILY[family];
    this.#messages.push(
      message({ type: BATCH_BEGIN, flags: FLAG.request, sequence: 0, family: 0, resourceId: SUBSYSTEM_NFTABLES }),
    );
    this.#subjects.set(0, 'the transaction');
  }

  add(type: number, flags: number, subject: string, ...attributes: readonly Buffer[]): void {
    this.#sequence += 1;
    this.#subjects.set(this.#sequence, subject);
    this.#messages.push(
      message(
        {
          type: (SUBSYSTEM_NFTABLES << 8) | type,
          flags: FLAG.request | flags,
          sequence: this.#sequence,
          family: this.#family,
          resourceId: 0,
        },
        ...attributes,
      ),
    );
  }

  finish(): Batch {
    const last = this.#messages.at(-1);
    // Older kernels answer no flag on BATCH_END, so that the last real message asks for the acknowledgement.
    if (last !== undefined) last[6] = (last[6] ?? 0) | FLAG.ack;
    this.#messages.push(
      message({
        type: BATCH_END,
        flags: FLAG.request,
        sequence: this.#sequence + 1,
        family: 0,
        resourceId: SUBSYSTEM_NFTABLES,
      }),
    );
    return { bytes: Buffer.concat(this.#messages), ackSequence: this.#sequence, subjects: this.#subjects };
  }
}

interface SetHeader {
  readonly name: string;
  readonly id: number;
  readonly flags: number;
  readonly keyType: number;
  readonly keyBytes: number;
  readonly data?: { readonly type: number; readonly bytes: number };
  readonly size?: number;
  readonly hostOrderKey: boolean;
}

/** What nft(8) reads to print a key in the right order (libnftnl's NFTNL_UDATA_SET_KEYBYTEORDER: 1 is the host's, 2 the network's). */
const keyOrderUserdata = (hostOrder: boolean): Buffer =>
  attribute(13, Buffer.concat([Buffer.from([0, 4]), hostU32(hostOrder ? 1 : 2)]));

class RulesetEncoder {
  readonly #ruleset: Ruleset;
  readonly #problems: string[] = [];
  readonly #writer: BatchWriter;
  #setId = 0;

  constructor(ruleset: Ruleset) {
    this.#ruleset = ruleset;
    this.#writer = new BatchWriter(ruleset.family);
  }

  encode(): Result<Batch, InvalidRuleset> {
    const { table, sets, chains } = this.#ruleset;
    this.#checkNames();
    const about = `table ${this.#ruleset.family} ${table}`;
    this.#writer.add(MESSAGE.newTable, FLAG.create, about, text(1, table), u32(2, 0));
    this.#writer.add(MESSAGE.deleteTable, 0, about, text(1, table));
    this.#writer.add(MESSAGE.newTable, FLAG.create, about, text(1, table), u32(2, 0));
    // Verdicts name chains, so that all chains stand before the first element or rule.
    for (const chain of chains) this.#addChain(chain);
    for (const set of sets) this.#addNamedSet(set);
    for (const chain of chains) for (const rule of chain.rules) this.#addRule(chain, rule);
    return this.#problems.length === 0
      ? ok(this.#writer.finish())
      : err({ kind: 'invalid-ruleset', problems: this.#problems });
  }

  #checkNames(): void {
    const { table, sets, chains } = this.#ruleset;
    for (const name of [table, ...sets.map((set) => set.name), ...chains.map((chain) => chain.name)])
      if (!NAME.test(name)) this.#problems.push(`name ${JSON.stringify(name)} is not one nf_tables takes`);
    const twice = (what: string, names: readonly string[]): void => {
      for (const name of new Set(names.filter((each, index) => names.indexOf(each) !== index)))
        this.#problems.push(`${what} ${name} is there twice`);
    };
    twice(
      'set',
      sets.map((set) => set.name),
    );
    twice(
      'chain',
      chains.map((chain) => chain.name),
    );
  }

  #reporter(where: string): Report {
    return (problem) => this.#problems.push(`${where}: ${problem}`);
  }

  #addChain(chain: Chain): void {
    const { hook } = chain;
    const base =
      hook === undefined
        ? []
        : [
            nested(4, u32(1, HOOK[hook.hook]), u32(2, hook.priority)),
            u32(5, hook.policy === 'accept' ? 1 : 0),
            text(7, hook.type),
          ];
    this.#writer.add(
      MESSAGE.newChain,
      FLAG.create,
      `chain ${chain.name}`,
      text(1, this.#ruleset.table),
      text(3, chain.name),
      ...base,
    );
  }

  #addSet(subject: string, set: SetHeader, elements: readonly Buffer[]): void {
    const { table } = this.#ruleset;
    this.#writer.add(
      MESSAGE.newSet,
      FLAG.create,
      subject,
      text(1, table),
      text(2, set.name),
      u32(3, set.flags),
      u32(4, set.keyType),
      u32(5, set.keyBytes),
      ...(set.data === undefined ? [] : [u32(6, set.data.type), u32(7, set.data.bytes)]),
      ...(set.size === undefined ? [] : [nested(9, u32(1, set.size))]),
      u32(10, set.id),
      keyOrderUserdata(set.hostOrderKey),
    );
    for (const chunk of chunkElements(elements))
      this.#writer.add(
        MESSAGE.newElement,
        FLAG.create,
        subject,
        text(1, table),
        text(2, set.name),
        nested(3, ...chunk),
        u32(4, set.id),
      );
  }

  #addNamedSet(set: NamedSet): void {
    const subject = `set ${set.name}`;
    const report = this.#reporter(subject);
    this.#setId += 1;
    const head = { name: set.name, id: this.#setId };
    if (set.kind === 'set') {
      const field = FIELDS[set.field];
      const intervals = set.elements.some((value) => isInterval(field, value));
      const elements = intervals
        ? intervalElements(field, set.elements, report)
        : valueElements(field, set.elements, report);
      const flags = intervals ? SET_FLAG.interval : 0;
      this.#addSet(
        subject,
        { ...head, flags, keyType: field.nftType, keyBytes: field.bytes, hostOrderKey: !isOrdered(field) },
        elements,
      );
      return;
    }
    const fields = set.fields.map((field) => FIELDS[field]);
    const seen = new Set<string>();
    const elements: Buffer[] = [];
    const add = (values: Parameters<typeof encodeKey>[1], data?: Buffer): void => {
      const key = encodeKey(fields, values, report);
      if (key === undefined) return;
      const text = key.toString('hex');
      if (seen.has(text) && data !== undefined) report(`key ${JSON.stringify(values)} is there twice`);
      if (!seen.has(text)) elements.push(element(key, data));
      seen.add(text);
    };
    if (set.kind === 'concat') for (const values of set.elements) add(values);
    else for (const entry of set.entries) add(entry.key, verdictData(2, entry.verdict));
    this.#addSet(
      subject,
      {
        ...head,
        flags: set.kind === 'vmap' ? SET_FLAG.map : 0,
        keyType: concatType(fields),
        keyBytes: keyBytes(fields),
        hostOrderKey: fields.length === 1 && !fields.every(isOrdered),
        ...(set.kind === 'vmap' ? { data: { type: VERDICT_TYPE, bytes: 0 } } : {}),
      },
      elements,
    );
  }

  #addRule(chain: Chain, rule: Rule): void {
    const subject = `rule "${rule.name}" of chain ${chain.name}`;
    const report = this.#reporter(subject);
    const comment = Buffer.from(`${rule.name}\0`, 'utf8');
    if (comment.length > RULE_NAME_BYTES_MAX) report(`the name has more than ${RULE_NAME_BYTES_MAX} bytes`);
    const addSet = (set: AnonymousSet): number => {
      this.#setId += 1;
      const name = (set.flags & SET_FLAG.map) === 0 ? '__set%d' : '__map%d';
      this.#addSet(subject, { name, id: this.#setId, ...set, size: set.elements.length }, set.elements);
      return this.#setId;
    };
    const context = { family: this.#ruleset.family, report, guarded: new Set<string>(), addSet };
    const expressions = rule.statements.flatMap((statement) => encodeStatement(context, statement));
    this.#writer.add(
      MESSAGE.newRule,
      FLAG.create | FLAG.append,
      subject,
      text(1, this.#ruleset.table),
      text(2, chain.name),
      nested(4, ...expressions),
      attribute(7, Buffer.concat([Buffer.from([COMMENT_TAG, comment.length & 0xff]), comment])),
    );
  }
}

/** The transaction that makes the table exactly this. */
export function encodeRuleset(ruleset: Ruleset): Result<Batch, InvalidRuleset> {
  return new RulesetEncoder(ruleset).encode();
}

/** The transaction that removes the table; making it first is what turns a missing one into success. */
export function encodeDeleteTable(family: Family, table: string): Batch {
  const writer = new BatchWriter(family);
  writer.add(MESSAGE.newTable, FLAG.create, `table ${family} ${table}`, text(1, table), u32(2, 0));
  writer.add(MESSAGE.deleteTable, 0, `table ${family} ${table}`, text(1, table));
  return writer.finish();
}

/** The request for all rules of a table. */
export function encodeDumpRules(family: Family, table: string): Buffer {
  return message(
    {
      type: (SUBSYSTEM_NFTABLES << 8) | MESSAGE.getRule,
      flags: FLAG.request | FLAG.dump,
      sequence: 1,
      family: FAMILY[family],
      resourceId: 0,
    },
    text(1, table),
  );
}
