/** Writes status where it is not as it should be: at a bounded rate, and never twice the same. */
import { parentRefs } from '@weft/policies/crds/gateway/refs';
import { isRouteKind, routeKinds, weftKinds } from '@weft/policies/crds/kinds';
import type { Cancel, Clock } from '@weft/policies/kit/clock';
import { errorText } from '@weft/policies/kit/error-text';
import type { Log } from '@weft/policies/kit/log';
import { z } from 'zod';
import type { KubeClient } from '../kube/client.ts';
import type { NotTaken } from '../kube/intake.ts';
import { WorkQueue } from '../kube/queue.ts';
import { apiVersionOf, objectPath, type ServedVersions } from '../kube/resources.ts';
import type { MeshControl } from '../mesh.ts';
import { type Observed, type StatusKind, statusFor } from './build.ts';
import type { AnyVerdict } from './summary.ts';

const statusKinds: readonly StatusKind[] = [...weftKinds, ...routeKinds];

interface StatusWriterOptions {
  readonly client: KubeClient;
  readonly served: ServedVersions;
  readonly clock: Clock;
  readonly log: Log;
  readonly mesh: MeshControl;
  readonly isLeader: () => boolean;
  /** Name of this pod, for what is counted here alone. */
  readonly replica: string;
  /** What the Mesh's status says of the certificate authority. */
  readonly authority?: (() => AnyVerdict | undefined) | undefined;
}

const written = z.looseObject({
  metadata: z.looseObject({ resourceVersion: z.string(), generation: z.int().optional() }),
  status: z.unknown().optional(),
});

interface Known extends Observed {
  readonly resourceVersion: string;
}

/** Of one object at most every half second, so that a change on the way through a thousand sidecars is not a thousand writes. */
const intervalMs = 500;
const settleMs = 100;
/** Longer than the longest pause between two attempts of a sidecar to connect. */
const reconnectMsMax = 8_000;

export class StatusWriter {
  readonly queue: WorkQueue;
  private readonly options: StatusWriterOptions;
  private readonly known = new Map<string, Known>();
  private timer: Cancel | undefined;
  /** Until then sidecars may still be on their way back from an earlier control plane. */
  private reconnecting = true;
  private reconnectTimer: Cancel | undefined;

  constructor(options: StatusWriterOptions) {
    this.options = options;
    this.queue = new WorkQueue({
      clock: options.clock,
      reconcile: (key) => this.reconcile(key),
      intervalMs,
      parallelMax: 4,
    });
    options.mesh.onChange(() => this.soon());
    options.mesh.hub.onSettled(() => this.soon());
  }

  /** From now on sidecars can connect. */
  serving(): void {
    this.reconnectTimer = this.options.clock.after(reconnectMsMax, () => {
      this.reconnecting = false;
      this.soon();
    });
  }

  /** What the API server says of an object, and why it was not taken if it was not. */
  observe(objectKind: string, key: string, object: unknown, invalid: NotTaken | undefined): void {
    const kind = statusKinds.find((one) => one === objectKind);
    if (kind === undefined) return;
    const parsed = written.safeParse(object);
    if (!parsed.success) return;
    const { metadata, status } = parsed.data;
    this.known.set(`${kind} ${key}`, {
      resourceVersion: metadata.resourceVersion,
      generation: metadata.generation ?? 0,
      status,
      invalid,
      ...(isRouteKind(kind) && invalid !== undefined ? parentsOf(object) : {}),
    });
    this.soon();
  }

  forget(kind: string, key: string): void {
    this.known.delete(`${kind} ${key}`);
    this.queue.forget(`${kind} ${key}`);
  }

  soon(): void {
    if (!this.options.isLeader()) return;
    this.timer ??= this.options.clock.after(settleMs, () => {
      this.timer = undefined;
      this.reconnecting &&= this.someoneIsMissing();
      for (const name of this.known.keys()) if (this.wanted(name) !== undefined) this.queue.add(name);
    });
  }

  stop(): void {
    this.timer?.();
    this.reconnectTimer?.();
    this.queue.stop();
  }

  private wanted(name: string): Readonly<Record<string, unknown>> | undefined {
    const observed = this.known.get(name);
    if (observed === undefined) return undefined;
    const { mesh, clock } = this.options;
    const nowIso = (): string => new Date(clock.unixMs()).toISOString().replace(/\.[0-9]+Z$/, 'Z');
    const [kind, key] = splitName(name);
    const { replica, authority } = this.options;
    const { reconnecting } = this;
    try {
      const parts = { context: mesh.context, hub: mesh.hub, nowIso, replica, reconnecting, authority };
      return statusFor(parts, kind, key, observed);
    } catch (fault) {
      // A bug met by one object must not keep the others from their status.
      this.options.log.error('status not judged', { object: name, reason: errorText(fault) });
      return undefined;
    }
  }

  /** With other replicas some are theirs; then time alone tells. */
  private someoneIsMissing(): boolean {
    const { hub, state } = this.options.mesh;
    const connected = new Set([...hub.streams].map((stream) => stream.client.podKey));
    for (const [key, pod] of state.pods.entries()) {
      if (pod.meshed && !pod.terminating && !pod.finished && !connected.has(key)) return true;
    }
    return false;
  }

  private async reconcile(name: string): Promise<boolean> {
    if (!this.options.isLeader()) return true;
    const status = this.wanted(name);
    const observed = this.known.get(name);
    if (status === undefined || observed === undefined) return true;
    const [kind, key] = splitName(name);
    const patch = {
      apiVersion: apiVersionOf(kind, this.options.served),
      kind,
      // Lists are replaced as a whole: what somebody else has written since must not be lost.
      metadata: { resourceVersion: observed.resourceVersion },
      status,
    };
    const answer = await this.options.client.patch(
      `${objectPath(kind, key, this.options.served)}/status`,
      'application/merge-patch+json',
      patch,
    );
    if (answer.ok) {
      this.observe(kind, key, answer.value, observed.invalid);
      return true;
    }
    // Gone, or newer than what was looked at: the watch brings the rest.
    if (answer.error.status === 404) return true;
    if (answer.error.status !== 409) {
      this.options.log.warn('status not written', { object: name, reason: answer.error.message });
    }
    return false;
  }
}

const attached = z.looseObject({ spec: z.looseObject({ parentRefs }) });

function parentsOf(object: unknown): Pick<Observed, 'parentRefs'> {
  const parsed = attached.safeParse(object);
  return parsed.success ? { parentRefs: parsed.data.spec.parentRefs } : {};
}

function splitName(name: string): readonly [StatusKind, string] {
  const kind = statusKinds.find((one) => name.startsWith(`${one} `));
  if (kind === undefined) throw new Error(`not a kind with status: ${name}`);
  return [kind, name.slice(kind.length + 1)];
}
