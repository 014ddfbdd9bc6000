/** `TCPRoute` and `TLSRoute` of the Gateway API v1: connections, by port or by the server name of TLS. */
import { z } from 'zod';
import { dnsSubdomain, hostname } from '../formats.ts';
import { listOf, withRules } from '../schema.ts';
import { backendRefWith, parentRefs, servicePort } from './refs.ts';

const connectionRule = z.strictObject({
  name: dnsSubdomain().optional().describe('Name of the rule.'),
  backendRefs: listOf(withRules(backendRefWith({}), [servicePort]), { min: 1, max: 16 }).describe(
    'Where connections go, by weight. The share of a backend that does not exist is refused.',
  ),
});

const oneRule = () => listOf(connectionRule, { min: 1, max: 1 }).describe('The rule.');

export const tcpRouteSpec = z
  .strictObject({ parentRefs: parentRefs.optional(), rules: oneRule() })
  .describe('The desired routing.');

const octet = '(25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])';
/** RFC 6066 section 3: a server name is no address. IPv6 has no form that the pattern of a hostname takes. */
const ipv4 = new RegExp(`^${octet}([.]${octet}){3}$`);

const serverNames = withRules(listOf(hostname(), { min: 1, max: 1024 }), [
  {
    cel: `self.all(h, !h.matches('${ipv4.source}'))`,
    message: 'must not contain an IP address; TLS names servers by hostname',
    check: (names) => !names.some((name) => ipv4.test(name)),
  },
]);

export const tlsRouteSpec = z
  .strictObject({
    parentRefs: parentRefs.optional(),
    hostnames: serverNames.describe('Server names (SNI) of the connections that the route is for.'),
    rules: oneRule(),
  })
  .describe('The desired routing.');
