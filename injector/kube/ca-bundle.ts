import { type AdmissionregistrationV1Api, PatchStrategy, setHeaderOptions } from '@kubernetes/client-node';
import type { Log } from '@weft/policies/kit/log';
import type { Metrics } from '../metrics.ts';
import { withDeadline } from './client.ts';

/** Puts the authority into every webhook of the configuration that does not have it; answers how many it had to set. */
export async function ensureCaBundle(
  api: AdmissionregistrationV1Api,
  name: string,
  caBundle: string,
  ports: { readonly metrics: Metrics; readonly log: Log },
): Promise<number> {
  const wanted = Buffer.from(caBundle).toString('base64');
  const configuration = await withDeadline(
    `webhook configuration ${name}`,
    api.readMutatingWebhookConfiguration({ name }),
  );
  const wrong = (configuration.webhooks ?? []).flatMap((webhook, index) =>
    webhook.clientConfig.caBundle === wanted ? [] : [{ name: webhook.name, index }],
  );
  if (wrong.length === 0) return 0;
  // Each webhook is named in a test, so that a patch never lands on one that moved there meanwhile.
  const body = wrong.flatMap((webhook) => [
    { op: 'test', path: `/webhooks/${webhook.index}/name`, value: webhook.name },
    { op: 'add', path: `/webhooks/${webhook.index}/clientConfig/caBundle`, value: wanted },
  ]);
  try {
    await withDeadline(
      `webhook configuration ${name}`,
      api.patchMutatingWebhookConfiguration({ name, body }, setHeaderOptions('Content-Type', PatchStrategy.JsonPatch)),
    );
  } catch (error) {
    ports.metrics.add('weft_injector_ca_bundle_patches_total', { result: 'failed' });
    throw error;
  }
  ports.metrics.add('weft_injector_ca_bundle_patches_total', { result: 'set' });
  ports.log.info('caBundle set', { configuration: name, webhooks: wrong.map((webhook) => webhook.name).join(',') });
  return wrong.length;
}
