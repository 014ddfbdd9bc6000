import { isConflict, isNotFound } from '../client/client.ts';
import type { EndpointSlice, Pod, Service } from '../client/objects.ts';
import { paths } from '../client/paths.ts';
import { createKeyQueue, type KeyQueue } from '../client/queue.ts';
import { keyOf } from '../client/reflector.ts';
import type { Context, Controller } from './context.ts';
import { MANAGED_BY, planEndpoints, planSlices, sliceObject } from './endpoint-plan.ts';
import { matchesLabels } from './selector.ts';
import { canonical } from './template.ts';

const SERVICE_NAME = 'kubernetes.io/service-name';
const ZONE = 'topology.kubernetes.io/zone';

/** Keeps the EndpointSlices and the legacy Endpoints of every Service with a selector. */
export class EndpointsController implements Controller {
  readonly #context: Context;
  readonly #queue: KeyQueue;
  readonly #writtenEndpoints = new Map<string, string>();

  constructor(context: Context) {
    this.#context = context;
    this.#queue = createKeyQueue({
      work: (key) => this.#sync(key),
      onError: (key, error) => context.onError(`endpoints of ${key}: ${String(error)}`),
    });
    context.services.onChange((key) => this.#queue.add(key));
    context.pods.onChange((_key, now, before) => this.#podChanged(now, before));
    context.slices.onChange((_key, now, before) => {
      const slice = now ?? before;
      const name = slice?.metadata.labels?.[SERVICE_NAME];
      if (slice !== undefined && name !== undefined && isOurs(slice))
        this.#queue.add(`${slice.metadata.namespace}/${name}`);
    });
  }

  #podChanged(now: Pod | undefined, before: Pod | undefined): void {
    const pod = now ?? before;
    for (const service of this.#context.services.list()) {
      if (service.metadata.namespace !== pod?.metadata.namespace || service.spec.selector === undefined) continue;
      const touched = [now, before].some(
        (item) => item !== undefined && matchesLabels(service.spec.selector, item.metadata.labels),
      );
      if (touched) this.#queue.add(keyOf(service));
    }
  }

  async #sync(key: string): Promise<'done' | 'retry'> {
    const service = this.#context.services.get(key);
    const existing = this.#context.slices.list().filter((slice) => isOurs(slice) && sliceService(slice) === key);
    const planned =
      service === undefined || service.metadata.deletionTimestamp !== undefined
        ? []
        : planSlices(
            service,
            this.#context.pods.list(),
            (node) => this.#context.nodes.get(node)?.metadata.labels?.[ZONE],
          );
    let done = true;
    if (service !== undefined) {
      for (const slice of planned) {
        const wanted = sliceObject(service, slice);
        done =
          (await this.#write(
            wanted,
            existing.find((item) => item.metadata.name === slice.name),
          )) && done;
      }
      if (planned.length > 0) done = (await this.#writeEndpoints(service, planEndpoints(planned))) && done;
    }
    for (const slice of existing) {
      if (planned.some((item) => item.name === slice.metadata.name)) continue;
      const removed = await this.#context.client.remove(
        paths.discovery('endpointslices', slice.metadata.namespace, slice.metadata.name),
      );
      if (!removed.ok && !isNotFound(removed)) done = false;
    }
    if (service === undefined) await this.#removeEndpoints(key);
    return done ? 'done' : 'retry';
  }

  async #write(wanted: EndpointSlice, existing: EndpointSlice | undefined): Promise<boolean> {
    const { namespace, name } = wanted.metadata;
    if (existing === undefined) {
      const made = await this.#context.client.create(paths.discovery('endpointslices', namespace), wanted);
      return made.ok || isConflict(made) || (!made.ok && made.status === 404);
    }
    const same =
      canonical([existing.endpoints ?? [], existing.ports ?? [], existing.metadata.labels ?? {}]) ===
      canonical([wanted.endpoints, wanted.ports, wanted.metadata.labels]);
    if (same) return true;
    const written = await this.#context.client.replace(paths.discovery('endpointslices', namespace, name), {
      ...wanted,
      // Without a version: this controller is the only writer, and the plan is made from the newest pods.
      metadata: { ...wanted.metadata, uid: existing.metadata.uid },
    });
    return written.ok || isNotFound(written);
  }

  async #writeEndpoints(service: Service, subsets: readonly unknown[]): Promise<boolean> {
    const key = keyOf(service);
    const text = canonical(subsets);
    if (this.#writtenEndpoints.get(key) === text) return true;
    const { namespace, name } = service.metadata;
    const body = {
      apiVersion: 'v1',
      kind: 'Endpoints',
      metadata: { name, namespace, labels: service.metadata.labels ?? {} },
      subsets,
    };
    const path = paths.core('endpoints', namespace);
    let result = await this.#context.client.replace(`${path}/${name}`, body);
    if (isNotFound(result)) result = await this.#context.client.create(path, body);
    if (result.ok) this.#writtenEndpoints.set(key, text);
    return result.ok || isConflict(result);
  }

  async #removeEndpoints(key: string): Promise<void> {
    if (!this.#writtenEndpoints.delete(key)) return;
    const [namespace, name] = key.split('/');
    await this.#context.client.remove(paths.core('endpoints', namespace, name));
  }

  close(): Promise<void> {
    return this.#queue.close();
  }
}

function isOurs(slice: EndpointSlice): boolean {
  return slice.metadata.labels?.['endpointslice.kubernetes.io/managed-by'] === MANAGED_BY;
}

function sliceService(slice: EndpointSlice): string {
  return `${slice.metadata.namespace}/${slice.metadata.labels?.[SERVICE_NAME] ?? ''}`;
}
