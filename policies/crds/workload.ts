/** Whom a server-side policy protects, and how it names callers and requests. */
import { z } from 'zod';
import { text, withRules } from './schema.ts';

export const principal = () =>
  text(/^(\*|spiffe:\/\/[^*\s]+\*?|\*[^*\s]+)$/, 'a SPIFFE ID, `*` may stand at its start or end', {
    min: 1,
    max: 2048,
  });
export const namespace = () =>
  text(/^(\*|\*?[-a-z0-9]+|[-a-z0-9]+\*)$/, 'a namespace, `*` may stand at its start or end', { min: 1, max: 63 });
export const serviceAccount = () =>
  text(
    /^([a-z0-9]([-a-z0-9]*[a-z0-9])?\/)?[a-z0-9]([-a-z0-9.]*[a-z0-9])?$/,
    'a service account, `name` or `namespace/name`',
    { min: 1, max: 317 },
  );
export const path = () =>
  text(/^(\*|\/[^*?#\s]*\*?|\*[^*?#\s]+)$/, 'a path such as `/cart`, `/cart/*` or `*.png`', { min: 1, max: 1024 });

const labelKey = text(/^([a-z0-9]([-a-z0-9.]*[a-z0-9])?\/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$/, 'a label key', {
  min: 1,
  max: 317,
});
const labelValue = text(/^([A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?)?$/, 'a label value', { max: 63 });

const matchLabels = withRules(z.record(labelKey, labelValue).meta({ maxProperties: 16 }), [
  // `maxProperties` says it in the CRD; zod has no word for it.
  {
    message: 'at most 16 labels',
    check: (labels) => Object.keys(labels).length <= 16,
  },
]);

export const selector = z.strictObject({ matchLabels: matchLabels.describe('Labels that a pod must have.') });
