import { isDeepStrictEqual } from 'node:util';
import type { V1Container, V1Pod, V1PodSpec, V1Volume } from '@kubernetes/client-node';
import type { PodConfig } from './config.ts';
import { initContainer, proxyContainer, proxyVolumes } from './pod/containers.ts';
import {
  type Denial,
  decide,
  deny,
  findConflict,
  type NamespaceInfo,
  SKIP_REASONS,
  type SkipReason,
} from './pod/decide.ts';
import { PORT, PROBES_ANNOTATION, PROBES_ENV, PROXY_CONTAINER, STATUS_ANNOTATION } from './pod/names.ts';
import { type Overrides, parseOverrides } from './pod/overrides.ts';
import { type PatchOperation, pointer, setMembers } from './pod/patch.ts';
import { type RewrittenProbes, rewriteProbes } from './pod/probes.ts';
import { rewriteScrape } from './pod/scrape.ts';
import { shareWorkloadApi } from './pod/workload-api.ts';

/** A pod in; a patch, a reason to leave it alone, or a refusal out. Pure. */

export { DENY_REASONS, type Denial, type NamespaceInfo, SKIP_REASONS, type SkipReason } from './pod/decide.ts';

export type InjectionPlan =
  | { readonly kind: 'patch'; readonly patch: readonly PatchOperation[]; readonly warnings: readonly string[] }
  | { readonly kind: 'skip'; readonly reason: SkipReason; readonly message: string }
  | Denial;

/**
 * The kubelet stops a native sidecar only after the application, so that an application which exits at once on SIGTERM would refuse the requests that are
 * still on their way. Its preStop waits until the mesh sends none. Pods that run to completion (Jobs) get none: nobody routes to
 * them, and the wait would only hold up their deletion. A container's own preStop is never touched: it knows better how to stop.
 */
function waitBeforeStop(spec: V1PodSpec): PatchOperation[] {
  if (spec.restartPolicy === 'Never' || spec.restartPolicy === 'OnFailure') return [];
  const preStop = { httpGet: { path: '/drain/wait', port: PORT.health, scheme: 'HTTP' } };
  return spec.containers.flatMap((container, index): PatchOperation[] => {
    const path = pointer('spec', 'containers', index, 'lifecycle');
    if (container.lifecycle === undefined || container.lifecycle === null)
      return [{ op: 'add', path, value: { preStop } }];
    return container.lifecycle.preStop === undefined ? [{ op: 'add', path: `${path}/preStop`, value: preStop }] : [];
  });
}

/** Puts the containers first: they start in order, each when the one before is done or, for the sidecar, ready. */
function prefixInitContainers(spec: V1PodSpec, containers: readonly V1Container[]): PatchOperation[] {
  const path = pointer('spec', 'initContainers');
  if (spec.initContainers === undefined || spec.initContainers === null)
    return [{ op: 'add', path, value: containers }];
  return containers.toReversed().map((container) => ({ op: 'add', path: `${path}/0`, value: container }));
}

function addVolumes(spec: V1PodSpec, overrides: Overrides): PatchOperation[] | Denial {
  const path = pointer('spec', 'volumes');
  const added: V1Volume[] = [];
  for (const volume of proxyVolumes(overrides)) {
    const existing = spec.volumes?.find((each) => each.name === volume.name);
    if (existing === undefined) added.push(volume);
    else if (!isDeepStrictEqual(existing, volume))
      return deny('name-taken', `the volume name ${volume.name} is the mesh's own; rename the volume`);
  }
  if (added.length === 0) return [];
  if (spec.volumes === undefined || spec.volumes === null) return [{ op: 'add', path, value: added }];
  return added.map((volume) => ({ op: 'add', path: `${path}/-`, value: volume }));
}

function statusAnnotation(config: PodConfig, initContainers: readonly V1Container[], overrides: Overrides): string {
  return JSON.stringify({
    version: config.version,
    revision: config.revision,
    initContainers: initContainers.map((container) => container.name),
    volumes: proxyVolumes(overrides).map((volume) => volume.name),
  });
}

function parseMap(text: string | undefined): Readonly<Record<string, unknown>> {
  try {
    const parsed: unknown = JSON.parse(text ?? '{}');
    return typeof parsed === 'object' && parsed !== null && !Array.isArray(parsed) ? { ...parsed } : {};
  } catch {
    return {};
  }
}

/**
 * The API server asks again when another webhook changed the pod after us (`reinvocationPolicy: IfNeeded`). The sidecar stays as it is; containers that came
 * meanwhile get their probes rewritten and their preStop.
 */
function complete(pod: V1Pod, spec: V1PodSpec): InjectionPlan {
  const conflict = findConflict(pod, true);
  if (conflict !== undefined) return conflict;
  const skip = { kind: 'skip', reason: 'already-injected', message: SKIP_REASONS['already-injected'] } as const;
  const annotations = pod.metadata?.annotations;
  const index = spec.initContainers?.findIndex((container) => container.name === PROXY_CONTAINER) ?? -1;
  const env = spec.initContainers?.[index]?.env ?? [];
  const at = env.findIndex((each) => each.name === PROBES_ENV);
  if (annotations?.[STATUS_ANNOTATION] === undefined || at < 0) return skip;
  const probes = rewriteAllProbes(spec);
  const overrides = parseOverrides(annotations);
  const shared = overrides.ok && overrides.value.workloadApi ? shareWorkloadApi(spec) : [];
  const patch = [...probes.patch, ...waitBeforeStop(spec), ...shared];
  if (patch.length === 0) return skip;
  const originals = { ...parseMap(env[at]?.value), ...probes.originals };
  const asWritten = { ...parseMap(annotations[PROBES_ANNOTATION]), ...probes.asWritten };
  if (probes.patch.length > 0)
    patch.push(
      {
        op: 'replace',
        path: pointer('spec', 'initContainers', index, 'env', at, 'value'),
        value: JSON.stringify(originals),
      },
      ...setMembers(pointer('metadata', 'annotations'), annotations, {
        [PROBES_ANNOTATION]: JSON.stringify(asWritten),
      }),
    );
  return { kind: 'patch', patch, warnings: probes.warnings };
}

function rewriteAllProbes(spec: V1PodSpec): RewrittenProbes {
  const parts = [
    rewriteProbes('containers', spec.containers),
    rewriteProbes('initContainers', spec.initContainers ?? []),
  ];
  return {
    patch: parts.flatMap((part) => part.patch),
    originals: Object.assign({}, ...parts.map((part) => part.originals)),
    asWritten: Object.assign({}, ...parts.map((part) => part.asWritten)),
    warnings: parts.flatMap((part) => part.warnings),
  };
}

function inject(pod: V1Pod, spec: V1PodSpec, config: PodConfig): InjectionPlan {
  const annotations = pod.metadata?.annotations ?? {};
  const overrides = parseOverrides(annotations);
  if (!overrides.ok) return deny('bad-annotation', overrides.error);
  const volumes = addVolumes(spec, overrides.value);
  if (!Array.isArray(volumes)) return volumes;
  const probes = rewriteAllProbes(spec);
  const scrape = rewriteScrape(annotations, spec);
  const proxy = proxyContainer({
    config,
    overrides: overrides.value,
    probes: probes.originals,
    scrape: scrape.target,
    graceSeconds: spec.terminationGracePeriodSeconds,
  });
  const added = config.redirectByNode ? [proxy] : [initContainer(config, overrides.value), proxy];
  return {
    kind: 'patch',
    // Probes are named by index, so that they go before the init containers move.
    patch: [
      ...probes.patch,
      ...waitBeforeStop(spec),
      ...(overrides.value.workloadApi ? shareWorkloadApi(spec) : []),
      ...prefixInitContainers(spec, added),
      ...volumes,
      ...(pod.metadata === undefined ? [{ op: 'add', path: '/metadata', value: {} } as const] : []),
      ...setMembers(pointer('metadata', 'annotations'), pod.metadata?.annotations, {
        [STATUS_ANNOTATION]: statusAnnotation(config, added, overrides.value),
        ...(Object.keys(probes.asWritten).length === 0
          ? {}
          : { [PROBES_ANNOTATION]: JSON.stringify(probes.asWritten) }),
        ...scrape.annotations,
      }),
    ],
    warnings: [...probes.warnings, ...scrape.warnings],
  };
}

export function planInjection(pod: V1Pod, namespace: NamespaceInfo, config: PodConfig): InjectionPlan {
  const decision = decide(pod, namespace, config);
  if (decision === 'already-injected') return complete(pod, pod.spec ?? { containers: [] });
  if (typeof decision === 'string') return { kind: 'skip', reason: decision, message: SKIP_REASONS[decision] };
  if (decision !== undefined) return decision;
  const conflict = findConflict(pod, false);
  if (conflict !== undefined) return conflict;
  return inject(pod, pod.spec ?? { containers: [] }, config);
}
