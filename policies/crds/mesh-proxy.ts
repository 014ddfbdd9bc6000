/** `proxy` of `Mesh`. The injector acts on it. */
import { z } from 'zod';

const CONCURRENCY_MAX = 64;

export const meshProxy = z
  .strictObject({
    concurrency: z
      .int()
      .min(1)
      .max(CONCURRENCY_MAX)
      .default(1)
      .describe(
        'Data threads of each sidecar. Pods say otherwise by the annotation `proxy.weft.dev/concurrency`. It counts for pods that are made from then on.',
      ),
  })
  .describe('How sidecars are injected.');
