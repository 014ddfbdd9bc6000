/** Judges whether the spans of one trace form the tree that a chain of sidecars has to leave behind. */
import type { StoredSpan } from './otlp-json.ts';

/** A request from one service to another: a client span at the caller's sidecar, below it a server span at the callee's. */
export interface Hop {
  readonly from: string;
  readonly to: string;
}

export interface TraceTree {
  readonly traceId: string;
  readonly roots: readonly StoredSpan[];
  childrenOf(span: StoredSpan): readonly StoredSpan[];
  readonly hops: readonly Hop[];
  /** What keeps it from being one tree with correct parents; empty when it is. */
  readonly problems: readonly string[];
}

const describe = (span: StoredSpan): string => `${span.kind} span ${span.spanId} of ${span.service}`;

/** A span that ends after its parent's end is no error; one that starts before its parent is, on one machine's clock. */
const clockToleranceNs = 2_000_000n;

function edgeProblems(parent: StoredSpan, child: StoredSpan): readonly string[] {
  const problems: string[] = [];
  const edge = `${describe(child)} below ${describe(parent)}`;
  if (child.startUnixNs + clockToleranceNs < parent.startUnixNs) problems.push(`${edge} starts before it`);
  if (child.kind === 'server' && parent.kind !== 'client') problems.push(`${edge}: a server's parent is a client span`);
  if (child.kind === 'server' && child.service === parent.service)
    problems.push(`${edge}: a hop ends in another service`);
  if (child.kind === 'client' && parent.kind !== 'server')
    problems.push(`${edge}: a sidecar's client span is below its server span`);
  if (child.kind === 'client' && child.service !== parent.service) problems.push(`${edge}: both belong to one service`);
  return problems;
}

/** Spans that nothing leads to: their parents go in a circle. */
function unreachable(
  spans: readonly StoredSpan[],
  tops: readonly StoredSpan[],
  childrenOf: (span: StoredSpan) => readonly StoredSpan[],
): readonly StoredSpan[] {
  const seen = new Set<StoredSpan>();
  const left = [...tops];
  for (let span = left.pop(); span !== undefined; span = left.pop()) {
    if (seen.has(span)) continue;
    seen.add(span);
    left.push(...childrenOf(span));
  }
  return spans.filter((span) => !seen.has(span));
}

/**
 * `externalParent`: span id that the client of the first service sent, which no sidecar exports. Without it the root
 * has no parent.
 */
export function traceTree(all: readonly StoredSpan[], traceId: string, externalParent = ''): TraceTree {
  const spans = all.filter((span) => span.traceId === traceId);
  const byId = new Map<string, StoredSpan>();
  const children = new Map<string, StoredSpan[]>();
  const problems: string[] = [];
  const roots: StoredSpan[] = [];
  const orphans: StoredSpan[] = [];
  const hops: Hop[] = [];
  for (const span of spans) {
    if (byId.has(span.spanId)) problems.push(`${describe(span)} arrived twice`);
    byId.set(span.spanId, span);
    children.set(span.parentSpanId, [...(children.get(span.parentSpanId) ?? []), span]);
  }
  for (const span of spans) {
    const parent = byId.get(span.parentSpanId);
    if (parent !== undefined) {
      problems.push(...edgeProblems(parent, span));
      if (span.kind === 'server') hops.push({ from: parent.service, to: span.service });
    } else if (span.parentSpanId === externalParent) {
      roots.push(span);
    } else {
      orphans.push(span);
      problems.push(`${describe(span)} has the unknown parent ${span.parentSpanId || '(none)'}`);
    }
  }
  const childrenOf = (span: StoredSpan): readonly StoredSpan[] => children.get(span.spanId) ?? [];
  if (roots.length !== 1) problems.push(`${roots.length} roots: ${roots.map(describe).join(', ') || 'none'}`);
  for (const span of unreachable(spans, [...roots, ...orphans], childrenOf)) {
    problems.push(`${describe(span)} is its own ancestor`);
  }
  return { traceId, roots, childrenOf, hops, problems };
}

/** Traces by id, for a test that looks for one which has all the hops it wants. */
export function traceIds(spans: readonly StoredSpan[]): readonly string[] {
  return [...new Set(spans.map((span) => span.traceId))];
}

/** Hops of `wanted` that the tree lacks. */
export function missingHops(tree: TraceTree, wanted: readonly Hop[]): readonly Hop[] {
  return wanted.filter(({ from, to }) => !tree.hops.some((hop) => hop.from === from && hop.to === to));
}
