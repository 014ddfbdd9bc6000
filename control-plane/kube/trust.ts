/** The ConfigMap `weft-trust` in every namespace: written, and put right when somebody changes it. */
import type { Clock } from '@weft/policies/kit/clock';
import { z } from 'zod';
import type { TrustBundle } from './bundle.ts';
import type { KubeClient } from './client.ts';
import { WorkQueue } from './queue.ts';
import { keyOfObject, Reflector } from './reflector.ts';
import type { Report } from './report.ts';

const name = 'weft-trust';
const dataKey = 'root-cert.pem';

const configMap = z.looseObject({ data: z.record(z.string(), z.string()).nullish() });

interface TrustOptions {
  readonly client: KubeClient;
  readonly clock: Clock;
  readonly log: Report;
  readonly own: TrustBundle;
  readonly isLeader: () => boolean;
  /** Names of namespaces that are there and stay. */
  readonly namespaces: () => readonly string[];
}

export class TrustPublisher {
  readonly queue: WorkQueue;
  private readonly options: TrustOptions;
  private readonly reflector: Reflector;
  private endTrust: (() => void) | undefined;
  /** What each namespace holds, as far as the watch has told. */
  private readonly held = new Map<string, string>();

  constructor(options: TrustOptions) {
    this.options = options;
    this.queue = new WorkQueue({
      clock: options.clock,
      reconcile: (namespace) => this.reconcile(namespace),
      intervalMs: 200,
      parallelMax: 4,
    });
    this.reflector = new Reflector({
      client: options.client,
      paths: ['/api/v1/configmaps'],
      // RBAC lets a list through by resource name when the field selector names it.
      query: { fieldSelector: `metadata.name=${name}` },
      events: {
        apply: (object) => {
          const namespace = namespaceOf(keyOfObject(object));
          const parsed = configMap.safeParse(object);
          if (namespace === undefined || !parsed.success) return;
          this.held.set(namespace, parsed.data.data?.[dataKey] ?? '');
          this.check(namespace);
        },
        remove: (key) => {
          const namespace = namespaceOf(key);
          if (namespace === undefined) return;
          this.held.delete(namespace);
          this.check(namespace);
        },
        synced: () => this.checkAll(),
        failed: (error) => options.log.warn('watch failed', { what: `configmaps ${name}`, reason: error.message }),
      },
    });
  }

  start(): void {
    this.endTrust = this.options.own.onChange(() => this.checkAll());
    this.reflector.start();
  }

  stop(): void {
    this.endTrust?.();
    this.reflector.stop();
    this.queue.stop();
  }

  checkAll(): void {
    for (const namespace of this.options.namespaces()) this.check(namespace);
  }

  check(namespace: string): void {
    if (!this.options.isLeader() || this.held.get(namespace) === this.options.own.pem()) return;
    if (this.options.namespaces().includes(namespace)) this.queue.add(namespace);
  }

  private async reconcile(namespace: string): Promise<boolean> {
    const { client, own, log } = this.options;
    if (!this.options.isLeader() || !this.options.namespaces().includes(namespace)) return true;
    const path = `/api/v1/namespaces/${namespace}/configmaps`;
    const data = { [dataKey]: own.pem() };
    const patched = await client.patch(`${path}/${name}`, 'application/merge-patch+json', { data });
    if (patched.ok) return true;
    if (patched.error.status !== 404) {
      log.warn('trust bundle not written', { namespace, reason: patched.error.message });
      return false;
    }
    const metadata = { name, namespace, labels: { 'app.kubernetes.io/managed-by': 'weft-control-plane' } };
    const created = await client.create(path, { apiVersion: 'v1', kind: 'ConfigMap', metadata, data });
    if (created.ok || created.error.status === 409) return created.ok;
    // A namespace that is ending takes nothing new.
    if (created.error.status === 403 && /terminat/i.test(created.error.message)) return true;
    if (created.error.status === 404) return true;
    log.warn('trust bundle not written', { namespace, reason: created.error.message });
    return false;
  }
}

function namespaceOf(key: string | undefined): string | undefined {
  const slash = key?.indexOf('/') ?? -1;
  return key === undefined || slash === -1 ? undefined : key.slice(0, slash);
}
