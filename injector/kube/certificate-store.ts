import type { CoreV1Api, V1Secret } from '@kubernetes/client-node';
import type { Log } from '@weft/policies/kit/log';
import { type CertificateMaterial, judge, type Lifetimes, renew } from '../certificate.ts';
import type { Metrics } from '../metrics.ts';
import { statusOf, withDeadline } from './client.ts';

const KEY = { caBundle: 'ca.crt', caKey: 'ca.key', cert: 'tls.crt', key: 'tls.key' } as const;
const CONFLICTS_MAX = 5;

export interface CertificateStore {
  /** Good material: what is stored, or new and stored. Replicas that renew at once end with the same. */
  ensure(): Promise<{ material: CertificateMaterial; renewAtMs: number; expiresAtMs: number }>;
}

const decode = (secret: V1Secret, name: string): string =>
  Buffer.from(secret.data?.[name] ?? '', 'base64').toString('utf8');

const fromSecret = (secret: V1Secret): CertificateMaterial => ({
  caBundle: decode(secret, KEY.caBundle),
  caKey: decode(secret, KEY.caKey),
  cert: decode(secret, KEY.cert),
  key: decode(secret, KEY.key),
});

const toData = (material: CertificateMaterial): Record<string, string> => ({
  [KEY.caBundle]: Buffer.from(material.caBundle).toString('base64'),
  [KEY.caKey]: Buffer.from(material.caKey).toString('base64'),
  [KEY.cert]: Buffer.from(material.cert).toString('base64'),
  [KEY.key]: Buffer.from(material.key).toString('base64'),
});

interface CertificateStoreOptions {
  readonly api: CoreV1Api;
  readonly namespace: string;
  readonly secretName: string;
  readonly dnsNames: readonly string[];
  readonly lifetimes: Lifetimes;
  readonly metrics: Metrics;
  readonly log: Log;
}

export function certificateStore(options: CertificateStoreOptions): CertificateStore {
  const { api, namespace, secretName: name, dnsNames, metrics, log } = options;

  async function read(): Promise<V1Secret | undefined> {
    try {
      return await withDeadline(`secret ${name}`, api.readNamespacedSecret({ name, namespace }));
    } catch (error) {
      if (statusOf(error) === 404) return undefined;
      throw error;
    }
  }

  /** False when another replica was faster. */
  async function write(old: V1Secret | undefined, material: CertificateMaterial): Promise<boolean> {
    const body: V1Secret = {
      apiVersion: 'v1',
      kind: 'Secret',
      type: 'kubernetes.io/tls',
      metadata: {
        name,
        namespace,
        labels: { 'app.kubernetes.io/part-of': 'weft', ...old?.metadata?.labels },
        ...(old?.metadata?.resourceVersion === undefined ? {} : { resourceVersion: old.metadata.resourceVersion }),
      },
      data: toData(material),
    };
    // The type of a Secret cannot change; one that somebody made with another keeps it.
    if (old?.type !== undefined) body.type = old.type;
    try {
      const call =
        old === undefined
          ? api.createNamespacedSecret({ namespace, body })
          : api.replaceNamespacedSecret({ name, namespace, body });
      await withDeadline(`secret ${name}`, call);
      return true;
    } catch (error) {
      if (statusOf(error) === 409) return false;
      throw error;
    }
  }

  return {
    async ensure() {
      for (let attempt = 0; attempt < CONFLICTS_MAX; attempt++) {
        const secret = await read();
        const stored = secret === undefined ? undefined : fromSecret(secret);
        const state = judge(stored, dnsNames, Date.now());
        if (stored !== undefined && state.kind === 'good') {
          metrics.set('weft_injector_certificate_expiry_seconds', Math.floor(state.expiresAtMs / 1000));
          return { material: stored, renewAtMs: state.renewAtMs, expiresAtMs: state.expiresAtMs };
        }
        if (state.kind !== 'renew') continue;
        const made = await renew(stored, state.what, dnsNames, Date.now(), options.lifetimes);
        const won = await write(secret, made);
        metrics.add('weft_injector_certificate_renewals_total', { result: won ? 'stored' : 'lost-race' });
        if (won) log.info('certificate made', { what: state.what, why: state.why });
      }
      throw new Error(`secret ${name} keeps changing under us`);
    },
  };
}
