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
/** RFC 3986 characters of the SPIFFE standard (section 2.1 of SPIFFE-ID). */
export const trustDomainPattern = () =>
  text(/^(\*|\*?[-a-z0-9._]+|[-a-z0-9._]+\*)$/, 'a trust domain, `*` may stand at its start or end', {
    min: 1,
    max: 255,
  });

const TEMPLATE_CHARACTERS_MAX = 256;
/** Where proxy and application could read a path in two ways, it is refused before any rule is asked. */
const neverMatches = (path: string): boolean => /%(2f|5c|00)/i.test(path) || /\/\.{1,2}(\/|$)/.test(path);
const variables = /\{([^}]*)\}/g;

function isTemplate(path: string): boolean {
  if (!path.includes('{')) return true;
  const segments = path.slice(1).split('/');
  const names = [...path.matchAll(variables)].map(([, name]) => name);
  return (
    path.length <= TEMPLATE_CHARACTERS_MAX &&
    !path.endsWith('*') &&
    segments.every((segment) => !segment.includes('{') || /^\{[^}]*\}$/.test(segment)) &&
    names.filter((name) => name === '**').length <= 1
  );
}

// What CEL would need for these, for each of thousands of paths, is more than an API server lets a rule cost.
export const path = () =>
  withRules(
    text(
      /^(\*|\/([^*?#\s%{}\\]|%[0-9a-fA-F]{2}|\{[a-zA-Z_][a-zA-Z0-9_]*\}|\{\*\*?\})*\*?|\*([^*?#\s%{}\\]|%[0-9a-fA-F]{2})+)$/,
      'a path such as `/cart`, `/cart/*`, `*.png` or `/users/{id}`',
      { min: 1, max: 1024 },
    ),
    [
      {
        message: 'can match nothing: paths with dot segments, or an encoded slash, backslash or NUL are refused',
        check: (value) => !neverMatches(value),
      },
      {
        message: `is no template: braces hold a whole segment, \`{**}\` may occur once, there is no \`*\` after it, and it has at most ${TEMPLATE_CHARACTERS_MAX} characters`,
        check: isTemplate,
      },
    ],
  );

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
