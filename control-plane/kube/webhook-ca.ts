/** Puts the mesh's trust bundle into the webhooks of `weft-control-plane`, now and whenever it is not there. */
import type { Clock } from '@weft/policies/kit/clock';
import { z } from 'zod';
import type { TrustBundle } from './bundle.ts';
import type { KubeClient } from './client.ts';
import { WorkQueue } from './queue.ts';
import { Reflector } from './reflector.ts';
import type { Report } from './report.ts';

const name = 'weft-control-plane';
const collection = '/apis/admissionregistration.k8s.io/v1/validatingwebhookconfigurations';

const configuration = z.looseObject({
  webhooks: z.array(z.looseObject({ clientConfig: z.looseObject({ caBundle: z.string().nullish() }) })).nullish(),
});

export class WebhookCaBundle {
  readonly queue: WorkQueue;
  private readonly reflector: Reflector;
  private readonly client: KubeClient;
  private readonly own: TrustBundle;
  private endTrust: (() => void) | undefined;
  private readonly log: Report;

  constructor(client: KubeClient, clock: Clock, log: Report, own: TrustBundle) {
    this.client = client;
    this.log = log;
    this.own = own;
    this.queue = new WorkQueue({ clock, reconcile: () => this.reconcile(), intervalMs: 500, parallelMax: 1 });
    this.reflector = new Reflector({
      client,
      paths: [collection],
      query: { fieldSelector: `metadata.name=${name}` },
      events: {
        apply: (object) => {
          if (this.wrongOnes(object).length > 0) this.queue.add(name);
        },
        remove: () => undefined,
        synced: () => undefined,
        failed: (error) =>
          log.warn('watch failed', { what: `ValidatingWebhookConfiguration ${name}`, reason: error.message }),
      },
    });
  }

  start(): void {
    this.endTrust = this.own.onChange(() => this.queue.add(name));
    this.reflector.start();
  }

  stop(): void {
    this.endTrust?.();
    this.reflector.stop();
    this.queue.stop();
  }

  private caBundle(): string {
    return Buffer.from(this.own.pem(), 'utf8').toString('base64');
  }

  private wrongOnes(object: unknown): number[] {
    const parsed = configuration.safeParse(object);
    const caBundle = this.caBundle();
    if (!parsed.success) return [];
    return (parsed.data.webhooks ?? []).flatMap(({ clientConfig }, index) =>
      clientConfig.caBundle === caBundle ? [] : [index],
    );
  }

  private async reconcile(): Promise<boolean> {
    const current = await this.client.get(`${collection}/${name}`);
    if (!current.ok) return current.error.status === 404;
    const wrong = this.wrongOnes(current.value);
    if (wrong.length === 0) return true;
    const operations = wrong.map((index) => ({
      op: 'add',
      path: `/webhooks/${index}/clientConfig/caBundle`,
      value: this.caBundle(),
    }));
    const patched = await this.client.patch(`${collection}/${name}`, 'application/json-patch+json', operations);
    if (!patched.ok) this.log.warn('caBundle not written', { reason: patched.error.message });
    return patched.ok;
  }
}
