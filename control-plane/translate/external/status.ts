/** What is said about an ExternalService, judged from the state alone. */
import type { ExternalService } from '@weft/policies/crds/kinds';
import { objectKey } from '../../index/objects.ts';
import type { TranslateContext } from '../context.ts';
import type { Carriers, ConditionVerdict } from '../verdict.ts';
import { egressName, externalName } from './names.ts';
import { isForeignMeshWide, kindOfPort, visibleTo } from './visible.ts';

interface ExternalVerdict {
  readonly generation: number;
  readonly conditions: readonly ConditionVerdict[];
  readonly carriers: readonly Carriers[];
  /** The clients that it is for; undefined: all. */
  readonly clientNamespace: string | undefined;
}

/** Clusters of one ExternalService: one for each host of each port, and the one that routes refer to. */
export function clusterNamesOf({ metadata, spec }: ExternalService): string[] {
  const { namespace, name } = metadata;
  return spec.ports.flatMap(({ number }) =>
    [undefined, ...(spec.hosts ?? [])].map((host) => externalName({ namespace, name, port: number, host })),
  );
}

/** Route configurations that may send to it. */
export function routeNamesOf({ metadata, spec }: ExternalService): string[] {
  const { namespace, name } = metadata;
  return spec.ports
    .filter((port) => kindOfPort(port) === 'http')
    .map(({ number }) =>
      spec.addresses === undefined
        ? egressName(number)
        : externalName({ namespace, name, port: number, host: undefined }),
    );
}

const conflictsMax = 5;

export function externalServiceStatus(context: TranslateContext, external: ExternalService): ExternalVerdict {
  const { namespace } = external.metadata;
  const meshWide = external.spec.visibility === 'Mesh';
  const carriers: Carriers[] = [
    { kind: 'cluster', names: clusterNamesOf(external) },
    { kind: 'route', names: routeNamesOf(external) },
  ];
  const verdict = { generation: external.metadata.generation, carriers };
  if (isForeignMeshWide(context.state, external)) {
    const { meshNamespace } = context.state;
    const message = `visibility Mesh is for namespace ${meshNamespace} alone; use Namespace here, or ask who runs the mesh`;
    const refusal: ConditionVerdict = { type: 'Accepted', status: 'False', reason: 'NotPermitted', message };
    return { ...verdict, conditions: [refusal], clientNamespace: namespace };
  }
  const lost = lostClaims(context, external);
  const who = meshWide ? 'all workloads of the mesh' : `workloads in namespace ${namespace}`;
  const accepted: ConditionVerdict = {
    type: 'Accepted',
    status: 'True',
    reason: 'Accepted',
    message: `${who} may call it${wildcardHint(external)}`,
  };
  const conflicted: ConditionVerdict = {
    type: 'Conflicted',
    status: 'True',
    reason: 'Conflicted',
    message: lost.join('; '),
  };
  return {
    ...verdict,
    conditions: lost.length === 0 ? [accepted] : [accepted, conflicted],
    clientNamespace: meshWide ? undefined : namespace,
  };
}

function wildcardHint({ spec }: ExternalService): string {
  if (spec.resolution !== 'Static' || spec.hosts?.some((host) => host.startsWith('*')) !== true) return '';
  return '; all names below its wildcards go to the same endpoints';
}

/** What older ones have, with the namespace where that is so. */
function lostClaims({ state }: TranslateContext, external: ExternalService): string[] {
  const name = objectKey(external.metadata);
  const meshWide = external.spec.visibility === 'Mesh';
  const namespaces = new Set([external.metadata.namespace]);
  if (meshWide) for (const one of state.externalServices.values()) namespaces.add(one.metadata.namespace);
  const lost = new Set<string>();
  for (const namespace of [...namespaces].sort()) {
    for (const { loser, winner, what } of visibleTo(state, namespace).conflicts) {
      const where = meshWide ? ` for namespace ${namespace}` : '';
      if (loser === name) lost.add(`${what} belongs to the older ExternalService ${winner}${where}`);
    }
  }
  const all = [...lost];
  if (all.length <= conflictsMax) return all;
  return [...all.slice(0, conflictsMax), `and ${all.length - conflictsMax} more`];
}
