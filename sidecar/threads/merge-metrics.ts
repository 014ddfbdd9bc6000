import { alikeInThreads } from '../telemetry/upstream-families.ts';

interface Family {
  readonly comments: string[];
  type: string;
  readonly samples: Map<string, number>;
}

/** Names of a histogram's samples end in what the family's name does not. */
const familyName = (sample: string, families: ReadonlyMap<string, Family>): string => {
  const brace = sample.indexOf('{');
  const name = brace === -1 ? sample : sample.slice(0, brace);
  if (families.has(name)) return name;
  const base = name.replace(/_(bucket|sum|count)$/, '');
  return families.has(base) ? base : name;
};

function familyOf(families: Map<string, Family>, name: string): Family {
  let family = families.get(name);
  if (family === undefined) {
    family = { comments: [], type: 'untyped', samples: new Map() };
    families.set(name, family);
  }
  return family;
}

function readInto(families: Map<string, Family>, text: string): void {
  for (const line of text.split('\n')) {
    if (line === '') continue;
    if (line.startsWith('# ')) {
      const [, kind = '', name = '', type = ''] = line.split(' ', 4);
      const family = familyOf(families, name);
      if (kind === 'TYPE') family.type = type;
      if (!family.comments.includes(line)) family.comments.push(line);
      continue;
    }
    // A label's value may hold blanks and braces; the number is what follows the last blank.
    const blank = line.lastIndexOf(' ');
    const sample = line.slice(0, blank);
    const name = familyName(sample, families);
    const { samples } = familyOf(families, name);
    const value = Number(line.slice(blank + 1));
    const before = samples.get(sample) ?? 0;
    samples.set(sample, alikeInThreads.has(name) ? Math.max(before, value) : before + value);
  }
}

function write(families: ReadonlyMap<string, Family>, gauges: boolean): string {
  const out: string[] = [];
  for (const { comments, type, samples } of families.values()) {
    if (type === 'gauge' && !gauges) continue;
    out.push(...comments);
    for (const [sample, value] of samples) out.push(`${sample} ${value}`);
  }
  return out.length === 0 ? '' : `${out.join('\n')}\n`;
}

/** One text of the expositions of several threads (Prometheus text format 0.0.4, no time stamps): samples with the same labels are summed, but for what all threads have of the same thing. */
export function mergeMetrics(texts: readonly string[]): string {
  const families = new Map<string, Family>();
  for (const text of texts) readInto(families, text);
  return write(families, true);
}

/** What stays true of a thread that has ended: its counters, which must never go back, and not what it had open. */
export function countersOf(text: string): string {
  const families = new Map<string, Family>();
  readInto(families, text);
  return write(families, false);
}
