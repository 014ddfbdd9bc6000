import type { MessageInitShape } from '@bufbuild/protobuf';
import type { HashKey } from '../model/balancer.ts';
import type { At } from './decoding.ts';
import type {
  RouteAction_HashPolicy,
  RouteAction_HashPolicySchema,
} from './gen/envoy/config/route/v3/route_components_pb.ts';
import { AGE_MS_MAX, decodeDuration, encodeDuration } from './values.ts';

type PolicyInit = MessageInitShape<typeof RouteAction_HashPolicySchema>;

export const encodeHashKey = (key: HashKey): PolicyInit => ({
  policySpecifier: encodeSpecifier(key),
  terminal: key.terminal,
});

function encodeSpecifier(key: HashKey): NonNullable<PolicyInit['policySpecifier']> {
  switch (key.kind) {
    case 'header':
      return { case: 'header', value: { headerName: key.name } };
    case 'cookie':
      return {
        case: 'cookie',
        value: {
          name: key.name,
          path: key.path,
          ...(key.ttlMs === undefined ? {} : { ttl: encodeDuration(key.ttlMs) }),
        },
      };
    case 'query':
      return { case: 'queryParameter', value: { name: key.name } };
    case 'source-ip':
      return { case: 'connectionProperties', value: { sourceIp: true } };
  }
}

/** What goes into a Set-Cookie as it is (RFC 6265 section 4.1.1). */
const COOKIE_PATH = /^[ !-:<-~]*$/;
const COOKIE_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;

export function decodeHashKeys(policies: readonly RouteAction_HashPolicy[], at: At): readonly HashKey[] {
  return policies.flatMap((policy, i) => decodeHashKey(policy, at.index(i)) ?? []);
}

function decodeHashKey({ policySpecifier: specifier, terminal }: RouteAction_HashPolicy, at: At): HashKey | undefined {
  switch (specifier.case) {
    case 'header': {
      const name = specifier.value.headerName.toLowerCase();
      if (name === '') at.field('header').field('header_name').fail('is required', undefined);
      return { kind: 'header', name, terminal };
    }
    case 'cookie': {
      const { name, ttl, path } = specifier.value;
      const here = at.field('cookie');
      if (!COOKIE_NAME.test(name)) here.field('name').fail('has to be a token (RFC 6265 section 4.1.1)', undefined);
      if (!COOKIE_PATH.test(path)) here.field('path').fail('has a character that no path of a cookie has', undefined);
      const ttlMs = ttl === undefined ? undefined : decodeDuration(ttl, 0, here.field('ttl'), AGE_MS_MAX);
      return { kind: 'cookie', name, ttlMs, path, terminal };
    }
    case 'queryParameter':
      if (specifier.value.name === '') at.field('query_parameter').field('name').fail('is required', undefined);
      return { kind: 'query', name: specifier.value.name, terminal };
    case 'connectionProperties':
      if (specifier.value.sourceIp) return { kind: 'source-ip', terminal };
      // Envoy takes it, and finds no value in it.
      return undefined;
    default:
      return at.fail('header, cookie, connection_properties or query_parameter is required', undefined);
  }
}
