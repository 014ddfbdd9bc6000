import type { KubeClient } from '../client/client.ts';
import type { KubeObject } from '../client/objects.ts';
import { paths } from '../client/paths.ts';

export type EventType = 'Normal' | 'Warning';

export interface EventSink {
  event(about: KubeObject & { readonly kind: string }, type: EventType, reason: string, message: string): void;
}

interface Written {
  readonly namespace: string;
  readonly name: string;
  count: number;
}

const KEPT_MAX = 512;
const PENDING_MAX = 256;

/** Writes Events; the same one again only raises its count. Losing one under pressure is allowed: events are hints. */
export class EventWriter implements EventSink {
  readonly #client: KubeClient;
  readonly #component: string;
  readonly #host: string;
  readonly #written = new Map<string, Written>();
  readonly #queue: (() => Promise<void>)[] = [];
  #working = false;
  #sequence = 0;
  dropped = 0;

  constructor(client: KubeClient, component: string, host: string) {
    this.#client = client;
    this.#component = component;
    this.#host = host;
  }

  event(about: KubeObject & { readonly kind: string }, type: EventType, reason: string, message: string): void {
    if (this.#queue.length >= PENDING_MAX) {
      this.dropped += 1;
      return;
    }
    this.#queue.push(() => this.#write(about, type, reason, message.slice(0, 1024)));
    void this.#drain();
  }

  async #drain(): Promise<void> {
    if (this.#working) return;
    this.#working = true;
    for (let work = this.#queue.shift(); work !== undefined; work = this.#queue.shift()) await work();
    this.#working = false;
  }

  async #write(
    about: KubeObject & { readonly kind: string },
    type: EventType,
    reason: string,
    message: string,
  ): Promise<void> {
    const now = new Date().toISOString().replace(/\.\d+Z$/, 'Z');
    const namespace = about.metadata.namespace ?? 'default';
    const key = `${about.kind}/${namespace}/${about.metadata.name}/${about.metadata.uid}/${type}/${reason}/${message}`;
    const earlier = this.#written.get(key);
    if (earlier !== undefined) {
      earlier.count += 1;
      const patched = await this.#client.patch(paths.core('events', earlier.namespace, earlier.name), {
        count: earlier.count,
        lastTimestamp: now,
      });
      if (patched.ok) return;
    }
    this.#sequence += 1;
    const name = `${about.metadata.name}.${Date.now().toString(16)}${this.#sequence.toString(16).padStart(4, '0')}`;
    const created = await this.#client.create(paths.core('events', namespace), {
      apiVersion: 'v1',
      kind: 'Event',
      metadata: { name, namespace },
      involvedObject: {
        apiVersion: about.apiVersion ?? 'v1',
        kind: about.kind,
        name: about.metadata.name,
        namespace: about.metadata.namespace,
        uid: about.metadata.uid,
      },
      type,
      reason,
      message,
      count: 1,
      firstTimestamp: now,
      lastTimestamp: now,
      source: { component: this.#component, host: this.#host },
      reportingComponent: this.#component,
      reportingInstance: this.#host,
    });
    if (!created.ok) {
      this.dropped += 1;
      return;
    }
    this.#written.delete(key);
    this.#written.set(key, { namespace, name, count: 1 });
    const oldest = this.#written.keys().next();
    if (this.#written.size > KEPT_MAX && !oldest.done) this.#written.delete(oldest.value);
  }
}
