import { type KubeConfig, Watch } from '@kubernetes/client-node';
import { errorText } from '@weft/policies/kit/error-text';
import type { Log } from '@weft/policies/kit/log';

const RETRY_MS_MIN = 500;
const RETRY_MS_MAX = 15_000;

/**
 * Calls `changed` whenever the one named object may have changed, for ever, until the signal. Nothing is read from the events: who is told reads the
 * object, and so cannot act on an old one.
 */
export function watchObject(
  config: KubeConfig,
  collection: string,
  name: string,
  log: Log,
  signal: AbortSignal,
  changed: () => void,
): void {
  const watch = new Watch(config);
  let retryMs = RETRY_MS_MIN;
  const again = (error: unknown): void => {
    if (signal.aborted) return;
    if (error instanceof Error && error.name !== 'AbortError')
      log.warn('watch ended', { collection, name, error: errorText(error) });
    setTimeout(start, retryMs).unref();
    retryMs = Math.min(retryMs * 2, RETRY_MS_MAX);
  };
  const start = (): void => {
    if (signal.aborted) return;
    let ended = false;
    const end = (error: unknown): void => {
      if (ended) return;
      ended = true;
      again(error);
    };
    watch
      .watch(
        collection,
        { fieldSelector: `metadata.name=${name}`, timeoutSeconds: 300 },
        () => {
          retryMs = RETRY_MS_MIN;
          changed();
        },
        end,
      )
      .then((controller) => {
        if (signal.aborted) controller.abort();
        signal.addEventListener('abort', () => controller.abort(), { once: true });
      }, end);
  };
  start();
}
