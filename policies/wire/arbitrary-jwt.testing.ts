import fc from 'fast-check';
import { name, text } from './arbitrary-values.testing.ts';

const lower = name.map((one) => one.toLowerCase());
const header = fc.record({ kind: fc.constant('header' as const), name: lower, prefix: fc.constantFrom('', 'Bearer ') });
const others = [
  fc.record({ kind: fc.constant('query' as const), name }),
  fc.record({ kind: fc.constant('cookie' as const), name }),
] as const;
const provider = fc
  .record({
    issuer: name,
    audiences: fc.array(name, { maxLength: 2 }),
    keys: text,
    headers: fc.array(header, { minLength: 1, maxLength: 2 }),
    queries: fc.array(others[0], { maxLength: 1 }),
    cookies: fc.array(others[1], { maxLength: 1 }),
    forward: fc.boolean(),
    claimHeaders: fc.array(fc.record({ header: lower, claim: name }), { maxLength: 2 }),
    clockSkewMs: fc.integer({ min: 1, max: 300 }).map((seconds) => seconds * 1000),
  })
  .map(({ headers, queries, cookies, ...all }) => ({ ...all, locations: [...headers, ...queries, ...cookies] }));

/** On the wire providers are a map: by name, one for each issuer. */
const providers = fc
  .uniqueArray(provider, { minLength: 1, maxLength: 2, selector: ({ issuer }) => issuer })
  .map((all) => all.map((one) => ({ ...one, name: one.issuer })).sort((a, b) => (a.name < b.name ? -1 : 1)));

export const jwtFilter = fc.record({
  kind: fc.constant('jwt' as const),
  name,
  jwt: fc.record({ providers, allowsMissing: fc.boolean() }),
});
