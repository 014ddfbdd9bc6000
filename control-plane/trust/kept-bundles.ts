/**
 * Bundles of other trust domains as they are kept over a restart (SPIFFE Federation section 4.2), one entry a trust
 * domain. Each has its sequence number and refresh hint in it, as its endpoint gave them.
 */
import { createHash } from 'node:crypto';
import { formatSpiffeBundle, parseSpiffeBundle, type SpiffeBundle } from '@weft/policies/identity/spiffe-bundle';
import { z } from 'zod';

/** An object of the API server may have 1 MiB or so. */
export const KEPT_CHARS_MAX = 786_432;

export interface KeptBundle {
  readonly trustDomain: string;
  /** Of what the Mesh says of this trust domain: an operator who changes that does not want what was fetched before. */
  readonly configured: string;
  readonly fetchedUnixMs: number;
  readonly bundle: SpiffeBundle;
}

const entry = z.strictObject({ configured: z.string(), fetched: z.iso.datetime(), bundle: z.string() });

export const configuredAs = (wanted: unknown): string =>
  createHash('sha256').update(JSON.stringify(wanted)).digest('hex').slice(0, 32);

export interface WrittenBundles {
  readonly data: Readonly<Record<string, string>>;
  /** Trust domains for whose bundles there was no room. */
  readonly leftOut: readonly string[];
}

/** The smallest first: a large one must not keep out the others. */
export function writeKeptBundles(kept: readonly KeptBundle[]): WrittenBundles {
  const data: Record<string, string> = {};
  const leftOut: string[] = [];
  let chars = 0;
  const entries = kept.map((one) => [one.trustDomain, textOf(one)] as const);
  for (const [trustDomain, text] of entries.toSorted(([, a], [, b]) => a.length - b.length)) {
    if (chars + text.length > KEPT_CHARS_MAX) {
      leftOut.push(trustDomain);
      continue;
    }
    chars += text.length;
    data[trustDomain] = text;
  }
  return { data, leftOut };
}

const textOf = ({ configured, fetchedUnixMs, bundle }: KeptBundle): string =>
  JSON.stringify({
    configured,
    fetched: new Date(fetchedUnixMs).toISOString(),
    bundle: formatSpiffeBundle(bundle),
  });

/** Somebody may have written to it: what cannot be read is named, and the others hold. */
export function readKeptBundles(data: Readonly<Record<string, string>>): {
  readonly kept: readonly KeptBundle[];
  readonly faults: readonly string[];
} {
  const kept: KeptBundle[] = [];
  const faults: string[] = [];
  for (const [trustDomain, text] of Object.entries(data)) {
    const read = readEntry(text);
    if (typeof read === 'string') faults.push(`${trustDomain}: ${read}`);
    else kept.push({ trustDomain, ...read });
  }
  return { kept, faults };
}

function readEntry(text: string): Omit<KeptBundle, 'trustDomain'> | string {
  let json: unknown;
  try {
    json = JSON.parse(text);
  } catch {
    return 'it is not JSON';
  }
  const parsed = entry.safeParse(json);
  if (!parsed.success) return parsed.error.issues[0]?.message ?? 'it is malformed';
  const { configured, fetched, bundle } = parsed.data;
  const read = parseSpiffeBundle(bundle);
  return read.ok ? { configured, fetchedUnixMs: Date.parse(fetched), bundle: read.value } : read.error;
}
