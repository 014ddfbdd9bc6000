/** What the store keeps beside the key: anchors with their roles, ledgers of the replicas, the command under way. */
import { parseCertificate } from '@weft/policies/identity/x509/certificate';
import { decodePem } from '@weft/policies/identity/x509/pem';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { z } from 'zod';
import type { LeafSummary } from './ledger.ts';
import { anchorsMax, fingerprintOf, type RotationState } from './rotation.ts';
import type { CaData } from './store.ts';

export const stateKey = 'state.json';
export const commandKey = 'command.json';
const ledgerPrefix = 'ledger.';
const unheardPrefix = 'unheard.';
const unheardNamesMax = 20;

const commandState = z.looseObject({ id: z.string(), ok: z.boolean(), message: z.string() });

const stateFile = z.looseObject({
  version: z.literal(1),
  anchors: z
    .array(
      z.looseObject({
        pem: z.string(),
        role: z.enum(['announced', 'signing', 'retiring']),
        sinceMs: z.number(),
        leafMsMax: z.number(),
        neededUntilMs: z.number(),
      }),
    )
    // Replicas that have given up different ones may have written a few more.
    .max(2 * anchorsMax),
  /** Fingerprints of anchors that an operator has given up although they were needed. */
  forced: z.array(z.string()).max(64).optional(),
  lastCommand: commandState.optional(),
});

export type CommandOutcome = z.output<typeof commandState>;

export interface StoredState extends RotationState {
  readonly forced: readonly string[];
  readonly lastCommand: CommandOutcome | undefined;
}

const command = z.discriminatedUnion('do', [
  z.strictObject({ id: z.string().min(1).max(64), do: z.literal('rotate') }),
  z.strictObject({
    id: z.string().min(1).max(64),
    do: z.literal('drop-anchor'),
    anchor: z.string().regex(/^[0-9a-f]{8,64}$/),
    force: z.boolean(),
  }),
]);
export type CaCommand = z.output<typeof command>;

export function readState(data: CaData): Result<StoredState | undefined, string> {
  const text = data[stateKey];
  if (text === undefined) return ok(undefined);
  const parsed = stateFile.safeParse(parseJson(text));
  if (!parsed.success) return err(`${stateKey}: ${parsed.error.issues[0]?.message ?? 'malformed'}`);
  const anchors = [];
  for (const one of parsed.data.anchors) {
    const ders = decodePem('CERTIFICATE', one.pem);
    const [der] = ders.ok ? ders.value : [];
    const certificate = der === undefined ? err('no certificate') : parseCertificate(der);
    if (der === undefined || !certificate.ok) return err(`${stateKey}: an anchor is no certificate`);
    // The fingerprint is computed and never read: it is what the certificate is.
    anchors.push({ ...one, fingerprint: fingerprintOf(der), notAfterMs: certificate.value.notAfterMs });
  }
  return ok({ anchors, forced: parsed.data.forced ?? [], lastCommand: parsed.data.lastCommand });
}

export function writeState({ anchors, forced, lastCommand }: StoredState): string {
  const file: z.input<typeof stateFile> = {
    version: 1,
    anchors: anchors.map(({ fingerprint, pem, role, sinceMs, leafMsMax, neededUntilMs }) => ({
      fingerprint,
      role,
      sinceMs,
      leafMsMax,
      neededUntilMs,
      pem,
    })),
    ...(forced.length === 0 ? {} : { forced: [...forced] }),
    ...(lastCommand === undefined ? {} : { lastCommand }),
  };
  return `${JSON.stringify(file, undefined, 1)}\n`;
}

export function readCommand(data: CaData): Result<CaCommand | undefined, string> {
  const text = data[commandKey];
  if (text === undefined) return ok(undefined);
  const parsed = command.safeParse(parseJson(text));
  return parsed.success ? ok(parsed.data) : err(`${commandKey}: ${parsed.error.issues[0]?.message ?? 'malformed'}`);
}

const ledgerFile = z.record(
  z.string(),
  z.looseObject({ untilMs: z.number(), count: z.int().min(0), names: z.array(z.string().max(512)).max(64) }),
);

export const ledgerKeyOf = (replica: string): string => `${ledgerPrefix}${replica}`;

/** Of every replica but one; what cannot be read counts as nothing, since the time limit of each anchor holds anyway. */
export function readLedgers(data: CaData, but: string): readonly Readonly<Record<string, LeafSummary>>[] {
  return Object.entries(data).flatMap(([key, text]) => {
    if (!key.startsWith(ledgerPrefix) || key === ledgerKeyOf(but)) return [];
    const parsed = ledgerFile.safeParse(parseJson(text));
    return parsed.success ? [parsed.data] : [];
  });
}

export const writeLedger = (summaries: ReadonlyMap<string, LeafSummary>): string =>
  JSON.stringify(Object.fromEntries(summaries));

/** Ledgers of replicas that are gone, with nothing alive in them. */
export function deadLedgers(data: CaData, nowMs: number): readonly string[] {
  return Object.entries(data).flatMap(([key, text]) => {
    if (!key.startsWith(ledgerPrefix)) return [];
    const parsed = ledgerFile.safeParse(parseJson(text));
    return parsed.success && Object.values(parsed.data).some((one) => one.untilMs > nowMs) ? [] : [key];
  });
}

const unheardFile = z.looseObject({
  anchor: z.string(),
  atMs: z.number(),
  names: z.array(z.string().max(512)).min(1).max(unheardNamesMax),
});

/** Sidecars of one replica that have not acknowledged an anchor that is announced. */
export type Unheard = z.output<typeof unheardFile>;

/** Of every replica but one, by their keys. */
export function readUnheard(data: CaData, but: string): ReadonlyMap<string, Unheard> {
  const all = new Map<string, Unheard>();
  for (const [key, text] of Object.entries(data)) {
    if (!key.startsWith(unheardPrefix) || key === unheardKeyOf(but)) continue;
    const parsed = unheardFile.safeParse(parseJson(text));
    if (parsed.success) all.set(key, parsed.data);
  }
  return all;
}

export const unheardKeyOf = (replica: string): string => `${unheardPrefix}${replica}`;

export function writeUnheard({ names, ...rest }: Unheard): string {
  return JSON.stringify({ ...rest, names: names.slice(0, unheardNamesMax) });
}

function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
