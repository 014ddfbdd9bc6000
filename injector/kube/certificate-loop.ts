import type { AdmissionregistrationV1Api, KubeConfig } from '@kubernetes/client-node';
import { errorText } from '@weft/policies/kit/error-text';
import type { Log } from '@weft/policies/kit/log';
import type { Metrics } from '../metrics.ts';
import type { KeyMaterial } from '../webhook.ts';
import { ensureCaBundle } from './ca-bundle.ts';
import type { CertificateStore } from './certificate-store.ts';
import { watchObject } from './watch.ts';

/** Keeps three things in step: the Secret, the `caBundle` of the webhook configuration, and what this process serves. */

const RESYNC_MS = 60_000;
const RETRY_MS_MIN = 250;
const RETRY_MS_MAX = 15_000;
/** Node's timers hold 32 bits. */
const SLEEP_MS_MAX = 12 * 3600 * 1000;

interface CertificateLoopOptions {
  readonly config: KubeConfig;
  readonly admission: AdmissionregistrationV1Api;
  readonly store: CertificateStore;
  readonly namespace: string;
  readonly secretName: string;
  readonly webhookConfiguration: string;
  readonly metrics: Metrics;
  readonly log: Log;
  readonly signal: AbortSignal;
  /** Told when other key material is to be served. */
  readonly serve: (material: KeyMaterial) => void;
}

interface CertificateLoop {
  /** Why the webhook cannot be called yet; undefined when all is in step. */
  problem(): string | undefined;
}

export function startCertificateLoop(options: CertificateLoopOptions): CertificateLoop {
  const { log, signal, webhookConfiguration: name } = options;
  let problem: string | undefined = 'no certificate yet';
  let served = '';
  let retryMs = RETRY_MS_MIN;
  let running = false;
  let again = false;
  let timer: NodeJS.Timeout | undefined;

  /** The bundle first: a leaf of an authority that the API server does not know yet would break every call. */
  async function step(): Promise<number> {
    const { material, renewAtMs } = await options.store.ensure();
    await ensureCaBundle(options.admission, name, material.caBundle, options);
    if (material.cert !== served) {
      options.serve({ cert: material.cert, key: material.key });
      served = material.cert;
    }
    return Math.min(RESYNC_MS, SLEEP_MS_MAX, Math.max(RETRY_MS_MIN, renewAtMs - Date.now()));
  }

  async function run(): Promise<void> {
    if (signal.aborted) return;
    if (running) {
      again = true;
      return;
    }
    running = true;
    clearTimeout(timer);
    let sleepMs = retryMs;
    try {
      sleepMs = await step();
      problem = undefined;
      retryMs = RETRY_MS_MIN;
    } catch (error) {
      const text = errorText(error).split('\n')[0] ?? '';
      log.warn('certificate or caBundle is not in step', { error: text, retryMs });
      if (served === '') problem = text;
      retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
    }
    running = false;
    if (signal.aborted) return;
    timer = setTimeout(() => void run(), again ? 0 : sleepMs);
    again = false;
  }

  signal.addEventListener('abort', () => clearTimeout(timer), { once: true });
  const secrets = `/api/v1/namespaces/${options.namespace}/secrets`;
  const configurations = '/apis/admissionregistration.k8s.io/v1/mutatingwebhookconfigurations';
  watchObject(options.config, secrets, options.secretName, log, signal, () => void run());
  watchObject(options.config, configurations, name, log, signal, () => void run());
  void run();
  return { problem: () => problem };
}
