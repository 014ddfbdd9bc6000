import { isIPv4 } from 'node:net';
import {
  accept,
  bits,
  CT_STATUS,
  type Endpoint,
  type Field,
  inSet,
  isIn,
  match,
  matchNot,
  type NamedSet,
  PRIORITY,
  type Rule,
  type Ruleset,
  redirectTo,
  rejectWith,
  returns,
  rule,
} from './ruleset.ts';

/** Which connections of a pod go through its sidecar: pure, "Redirection" of the architecture page. */

export const TABLE = { family: 'inet', name: 'weft' } as const;
export const PROXY_UID = 1337;
const OUTBOUND_PORT = 15001;
const INBOUND_PORT = 15006;
const HEALTH_PORT = 15020;

/** The cloud's instance metadata: a node's credentials are served there, and never through a proxy. */
const METADATA_ADDRESSES = { ipv4: '169.254.169.254', ipv6: 'fd00:ec2::254' } as const;

export interface RedirectionOptions {
  /** User and group of the sidecar, whose own connections are left alone. */
  readonly proxyUid: number;
  readonly outboundPort: number;
  readonly inboundPort: number;
  /** The sidecar's ports that are spoken to directly. */
  readonly directPorts: readonly number[];
  readonly excludeInboundPorts: readonly number[];
  readonly excludeOutboundPorts: readonly number[];
  readonly excludeOutboundCidrs: readonly string[];
  /** Service and endpoint addresses of the Kubernetes API. */
  readonly apiServers: readonly Endpoint[];
}

export const DEFAULT_REDIRECTION: RedirectionOptions = {
  proxyUid: PROXY_UID,
  outboundPort: OUTBOUND_PORT,
  inboundPort: INBOUND_PORT,
  directPorts: [HEALTH_PORT],
  excludeInboundPorts: [],
  excludeOutboundPorts: [],
  excludeOutboundCidrs: [],
  apiServers: [],
};

const tcp = match('meta l4proto', 'tcp');

interface Excluded {
  readonly sets: NamedSet[];
  readonly rules: Rule[];
}

/** A set and the rule that lets its members pass; neither when there are none. */
function excludeRanges(set: string, field: Field, name: string, elements: readonly string[]): Excluded {
  if (elements.length === 0) return { sets: [], rules: [] };
  return { sets: [{ kind: 'set', name: set, field, elements }], rules: [rule(name, inSet(set, field), returns)] };
}

function excludeEndpoints(set: string, address: Field, name: string, endpoints: readonly Endpoint[]): Excluded {
  if (endpoints.length === 0) return { sets: [], rules: [] };
  const fields: readonly Field[] = [address, 'tcp dport'];
  const elements = endpoints.map((endpoint) => [endpoint.address, endpoint.port]);
  return {
    sets: [{ kind: 'concat', name: set, fields, elements }],
    rules: [rule(name, inSet(set, ...fields), returns)],
  };
}

const isRange4 = (cidr: string): boolean => isIPv4(cidr.split('/')[0] ?? '');

function outboundExcludes(options: RedirectionOptions): Excluded {
  const { apiServers, excludeOutboundCidrs: cidrs } = options;
  const parts = [
    excludeEndpoints(
      'api_ipv4',
      'ip daddr',
      'kubernetes api',
      apiServers.filter((each) => isIPv4(each.address)),
    ),
    excludeEndpoints(
      'api_ipv6',
      'ip6 daddr',
      'kubernetes api',
      apiServers.filter((each) => !isIPv4(each.address)),
    ),
    excludeRanges('exclude_ipv4', 'ip daddr', 'excluded ranges', cidrs.filter(isRange4)),
    excludeRanges(
      'exclude_ipv6',
      'ip6 daddr',
      'excluded ranges',
      cidrs.filter((cidr) => !isRange4(cidr)),
    ),
  ];
  return { sets: parts.flatMap((part) => part.sets), rules: parts.flatMap((part) => part.rules) };
}

/**
 * Of a connection only the first packet passes a nat chain. A connection over `lo` has its destination settled in `output` and never reaches
 * `prerouting`, so that what the sidecar sends to its own pod arrives at the application and not at the sidecar again.
 */
function outputRules(options: RedirectionOptions, excludes: readonly Rule[]): Rule[] {
  const ports = options.excludeOutboundPorts;
  return [
    rule('udp and others pass', matchNot('meta l4proto', 'tcp'), returns),
    rule('the sidecar itself', match('meta skuid', options.proxyUid), returns),
    rule('the sidecar itself by group', match('meta skgid', options.proxyUid), returns),
    rule('loopback and own addresses', match('meta oifname', 'lo'), returns),
    rule('instance metadata', match('ip daddr', METADATA_ADDRESSES.ipv4), returns),
    rule('instance metadata', match('ip6 daddr', METADATA_ADDRESSES.ipv6), returns),
    ...excludes,
    ...(ports.length === 0 ? [] : [rule('excluded ports', isIn('tcp dport', ports), returns)]),
    rule('outbound to the sidecar', tcp, redirectTo(options.outboundPort)),
  ];
}

function preroutingRules(options: RedirectionOptions): Rule[] {
  const own = [options.outboundPort, options.inboundPort, ...options.directPorts];
  const ports = options.excludeInboundPorts;
  return [
    rule('udp and others pass', matchNot('meta l4proto', 'tcp'), returns),
    rule('ports of the sidecar', isIn('tcp dport', own), returns),
    ...(ports.length === 0 ? [] : [rule('excluded ports', isIn('tcp dport', ports), returns)]),
    rule('inbound to the sidecar', tcp, redirectTo(options.inboundPort)),
  ];
}

/**
 * Whoever dials 15001 from outside would use the pod as an open proxy, and a dialled 15006 has no original destination. A redirected
 * connection carries the conntrack status `dnat`; a dialled one does not.
 */
function guardRules(options: RedirectionOptions): Rule[] {
  return [
    rule('within the pod', match('meta iifname', 'lo'), accept),
    rule(
      'no direct way to the sidecar',
      isIn('tcp dport', [options.outboundPort, options.inboundPort]),
      bits('ct status', CT_STATUS.dstNat, false),
      rejectWith('tcp-reset'),
    ),
  ];
}

export function planRedirection(options: RedirectionOptions): Ruleset {
  const excludes = outboundExcludes(options);
  return {
    family: TABLE.family,
    table: TABLE.name,
    sets: excludes.sets,
    chains: [
      {
        name: 'output',
        hook: { type: 'nat', hook: 'output', priority: PRIORITY.dstnat, policy: 'accept' },
        rules: outputRules(options, excludes.rules),
      },
      {
        name: 'prerouting',
        hook: { type: 'nat', hook: 'prerouting', priority: PRIORITY.dstnat, policy: 'accept' },
        rules: preroutingRules(options),
      },
      {
        name: 'input',
        hook: { type: 'filter', hook: 'input', priority: PRIORITY.filter, policy: 'accept' },
        rules: guardRules(options),
      },
    ],
  };
}
