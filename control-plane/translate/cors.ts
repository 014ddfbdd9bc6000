/** CORS filters of HTTPRoute rules (GEP-1767). */
import type { CorsPolicy } from '@weft/policies/model/cors';
import { always } from '@weft/policies/model/fraction';
import type { StringMatch } from '@weft/policies/model/match';
import { CORS_FILTER, type RouteFilter as FilterSetting } from '@weft/policies/model/route-filter';
import type { RouteFilter } from './rules.ts';

type Cors = NonNullable<RouteFilter['cors']>;

export function corsSetting(filters: readonly { readonly cors?: Cors | undefined }[] | undefined): FilterSetting[] {
  const cors = filters?.find((filter) => filter.cors !== undefined)?.cors;
  return cors === undefined ? [] : [{ kind: 'cors', name: CORS_FILTER, cors: corsPolicy(cors) }];
}

const corsPolicy = (cors: Cors): CorsPolicy => ({
  allowOrigins: (cors.allowOrigins ?? []).map(originMatch),
  allowMethods: (cors.allowMethods ?? []).join(', '),
  allowHeaders: (cors.allowHeaders ?? []).join(', '),
  exposeHeaders: (cors.exposeHeaders ?? []).join(', '),
  maxAge: String(cors.maxAge),
  allowCredentials: cors.allowCredentials ?? false,
  // HTTPCORSFilter.allowOrigins: the answer is one of success, without the fields that would allow anything.
  forwardsUnmatched: false,
  enabled: always,
});

/** An origin never names the port that its scheme implies (RFC 6454 section 6.1). */
const withoutDefaultPort = (origin: string): string => origin.replace(/^(http:.*):80$|^(https:.*):443$/i, '$1$2');

/** A name of any number of labels, or an address of IPv6. */
const ANY_HOST = '([-a-z0-9._]+|\\[[0-9a-f:.]+\\])';

/** HTTPCORSFilter.allowOrigins: an asterisk in a host stands for any number of labels to its left. */
function originMatch(origin: string): StringMatch {
  const value = withoutDefaultPort(origin);
  if (origin === '*') return { kind: 'exact', value, ignoreCase: false };
  if (!value.includes('*')) return { kind: 'exact', value, ignoreCase: true };
  return { kind: 'regex', value: value.toLowerCase().replaceAll('.', '\\.').replace('*', ANY_HOST) };
}
