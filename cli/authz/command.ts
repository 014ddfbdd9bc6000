import { readFileSync } from 'node:fs';
import { type MeshObject, objectKey } from '@weft/control-plane/index/objects';
import { parseObjects } from '@weft/control-plane/static/objects';
import { durationMs } from '@weft/policies/crds/duration';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { parseOptions, parseOutput, table } from '../command.ts';
import { ExitCode, UsageError } from '../exit.ts';
import { Kube } from '../kube.ts';
import { SYSTEM } from '../replicas.ts';
import { type Diff, type DiffRow, diff } from './diff.ts';
import { readFlows, readObjects } from './read.ts';

/** `weft authz diff`. */
export async function runDiff(args: readonly string[]): Promise<number> {
  const options = parseOptions(args, {
    kubeconfig: { type: 'string' },
    namespace: { type: 'string', short: 'n' },
    output: { type: 'string', short: 'o' },
    file: { type: 'string', short: 'f' },
    remove: { type: 'string', multiple: true },
    since: { type: 'string' },
  });
  const format = parseOutput(options.output);
  const sinceMs = durationMs(options.since ?? '6h');
  if (sinceMs === undefined) throw new UsageError(`--since is "${options.since}", must be a duration such as 6h`);
  const remove = options.remove ?? [];
  if (options.file === undefined && remove.length === 0) throw new UsageError('needs -f, --remove or both');
  const apply = options.file === undefined ? [] : candidates(options.file);
  const kube = Kube.open(options.kubeconfig);
  const fromUnixMs = Date.now() - sinceMs;
  const [objects, read] = await Promise.all([readObjects(kube), readFlows(kube, fromUnixMs, options.namespace)]);
  const known = new Set(
    objects.flatMap((one) => (one.kind === 'AuthorizationPolicy' ? [objectKey(one.metadata)] : [])),
  );
  const absent = remove.find((key) => !known.has(key));
  if (absent !== undefined) throw new UsageError(`--remove: there is no AuthorizationPolicy ${absent}`);
  const found = diff(
    { meshNamespace: SYSTEM, trustDomain: trustDomainOf(objects), objects, flows: read.flows },
    { apply, remove },
  );
  const short = read.sinceUnixMs > fromUnixMs ? new Date(read.sinceUnixMs).toISOString() : undefined;
  if (format === 'json') console.log(JSON.stringify({ ...found, lost: read.lost, completeSince: short }, undefined, 2));
  else print(found, read.lost, short);
  return found.rows.some(({ outcome }) => outcome !== 'gains') ? ExitCode.failed : ExitCode.ok;
}

function candidates(file: string): readonly MeshObject[] {
  const parsed = parseObjects(readFileSync(file, 'utf8'));
  if (!parsed.ok) throw new UsageError(`${file}: ${parsed.error}`);
  const others = parsed.value.filter(
    ({ kind }) => kind !== 'AuthorizationPolicy' && kind !== 'AuthenticationPolicy' && kind !== 'Mesh',
  );
  const [other] = others;
  if (other !== undefined) throw new UsageError(`${file}: a ${other.kind} decides on nobody's access`);
  if (parsed.value.length === 0) throw new UsageError(`${file}: has no AuthorizationPolicy`);
  return parsed.value;
}

function trustDomainOf(objects: readonly MeshObject[]) {
  const mesh = objects.find((one) => one.kind === 'Mesh');
  const parsed = parseTrustDomain(mesh?.status?.trustDomain ?? 'cluster.local');
  if (!parsed.ok) throw new Error(`the Mesh's status has no trust domain that can be read: ${parsed.error}`);
  return parsed.value;
}

const rule = ({ kind, rule: name }: DiffRow['before']): string => (name === '' ? kind : `${kind} (${name})`);

function print({ rows, flows, requests, skipped }: Diff, lost: number, completeSince: string | undefined): void {
  if (rows.length > 0) {
    const cells = rows.map((row) => [
      row.outcome.toUpperCase(),
      row.workload,
      row.caller,
      row.method === '' ? `TCP :${row.port}` : `${row.method} ${row.host}${row.path} :${row.port}`,
      String(row.requests),
      row.lastSeen,
      rule(row.before),
      rule(row.after),
      row.unknown.join(', '),
    ]);
    const header = ['', 'WORKLOAD', 'CALLER', 'REQUEST', 'COUNT', 'LAST SEEN', 'NOW', 'THEN', 'NOT KNOWN'];
    console.log(table(header, cells));
  }
  const count = (outcome: DiffRow['outcome']): number => rows.filter((row) => row.outcome === outcome).length;
  console.log(
    `${count('loses')} would lose access, ${count('gains')} would gain it, ${count('unknown')} cannot be told; of ${flows} kinds of requests, ${requests} in all`,
  );
  if (skipped > 0) console.log(`${skipped} were left out: no pod of their workload runs any more`);
  if (lost > 0) console.log(`${lost} requests are in no summary: there were too many kinds of them`);
  if (completeSince !== undefined) console.log(`the control plane has listened since ${completeSince}, not for longer`);
}
