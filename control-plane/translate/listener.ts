import { type AccessLog, stdoutLog } from '@weft/policies/model/access-log';
import { meshEdge } from '@weft/policies/model/edge';
import {
  anyTraffic,
  type FilterChain,
  type FilterChainMatch,
  type HttpConnectionManager,
  type HttpFilter,
  type HttpLimits,
  type Listener,
  ORIGINAL_DESTINATION,
  type TcpProxy,
  type WorkloadSettings,
} from '@weft/policies/model/listener';
import { CORS_FILTER, FAULT_FILTER, SESSION_FILTER } from '@weft/policies/model/route-filter';
import { type DownstreamTls, IDENTITY_SECRET, MESH_ALPN, TRUST_SECRET } from '@weft/policies/model/tls';
import type { Pod } from '../index/core.ts';
import { objectKey } from '../index/objects.ts';
import { modeAt, type TlsMode, type TlsModes, takenModes } from './authentication.ts';
import { authorizationOf, type WorkloadAuthorization } from './authorization.ts';
import { type TranslateContext, trustedHopsOf } from './context.ts';
import { externalChains } from './external/chains.ts';
import { inboundRoutes, type Tunnels, tunnelsOf } from './inbound-routes.ts';
import { jwtFilters } from './jwt.ts';
import { INBOUND, OUTBOUND } from './names.ts';
import { overloadFilters, overloadWinners } from './overload.ts';
import { type PodPort, podPorts } from './ports.ts';
import { carriesHttp } from './protocol.ts';
import { inboundLimits, outboundLimits } from './request-limits.ts';

/** What a sidecar says that it can do; what it cannot is left out. */
export interface ClientFeatures {
  /** HTTP/2 on the wire. */
  readonly http2: boolean;
  /** It chooses among endpoints by where they run; absent: the control plane does it for it. */
  readonly locality?: boolean;
  /** It knows routes for CONNECT; without that it would refuse the whole listener. */
  readonly connect?: boolean;
}

/** What a client that waits for its server to speak waits longer; only for ports that may be of such a protocol. */
const detectTimeoutMs = 100;
const tcpIdleTimeoutMs = 3_600_000;
const inboundPort = 15006;
const outboundPort = 15001;
/** Never redirected to the sidecar. */
const ownPorts: ReadonlySet<number> = new Set([inboundPort, outboundPort, 15020]);

const plainHttp1 = ['http/1.0', 'http/1.1'];

const accessLogModes = { None: 'none', Errors: 'errors', All: 'all' } as const;

export function workloadSettings(context: TranslateContext, pod: Pod): WorkloadSettings {
  const mesh = context.state.mesh?.spec;
  const [canonical] = context.state.servicesSelecting(pod);
  return {
    tracing:
      mesh?.tracing === undefined
        ? undefined
        : {
            otlpEndpoint: mesh.tracing.otlpEndpoint,
            otlpProtocol: mesh.tracing.protocol,
            samplingPercent: mesh.tracing.samplingPercent,
          },
    accessLog: accessLogModes[mesh?.accessLog.mode ?? 'Errors'],
    workloadName: `${pod.metadata.namespace}/${pod.workload}`,
    serviceName: `${pod.metadata.namespace}/${canonical?.metadata.name ?? pod.workload}`,
  };
}

export function translateOutbound(context: TranslateContext, pod: Pod, features: ClientFeatures): Listener {
  const settings = workloadSettings(context, pod);
  const accessLogs = accessLogsOf(settings);
  const httpProtocols = features.http2 ? [...plainHttp1, 'h2c'] : plainHttp1;
  const limits = outboundLimits(overloadWinners(context.state, pod));
  const manager = (route: string, filters: readonly HttpFilter[]): HttpConnectionManager =>
    httpManager({ statPrefix: OUTBOUND, route: { kind: 'rds', name: route }, filters, limits, accessLogs });
  const http: FilterChain = {
    name: 'http',
    match: { ...anyTraffic, transportProtocol: 'raw_buffer', applicationProtocols: httpProtocols },
    tls: undefined,
    networkRbac: [],
    terminal: manager(ORIGINAL_DESTINATION, ofRoutes),
  };
  const outside = externalChains(context.state, pod.metadata.namespace, {
    httpProtocols,
    http: (name) => manager(name, []),
    tcp: (cluster) => tcpProxy(OUTBOUND, cluster, accessLogs),
  });
  return {
    name: OUTBOUND,
    direction: 'outbound',
    addresses: [{ ip: '::', port: outboundPort }],
    useOriginalDst: true,
    proxyProtocol: false,
    detectTls: true,
    detectHttp: true,
    detectTimeoutMs,
    filterChains: [http, ...outside],
    defaultFilterChain: {
      name: 'tcp',
      match: anyTraffic,
      tls: undefined,
      networkRbac: [],
      terminal: tcpProxy(OUTBOUND, ORIGINAL_DESTINATION, accessLogs),
    },
    settings,
  };
}

export function translateInbound(context: TranslateContext, pod: Pod, features: ClientFeatures): Listener {
  const settings = workloadSettings(context, pod);
  const overload = overloadWinners(context.state, pod);
  const authorization = authorizationOf(context, pod);
  const jwt = jwtFilters(context, pod);
  const chains = new InboundChains({
    authorization,
    overload: overloadFilters(context, pod, overload),
    limits: inboundLimits(overload),
    accessLogs: accessLogsOf(settings),
    features,
    modes: takenModes(context, objectKey(pod.metadata), pod),
    jwt,
    tunnels: features.connect === true ? tunnelsOf(context, pod, authorization, jwt.length > 0) : undefined,
    trustedHops: trustedHopsOf(context, pod),
  });
  const filterChains = portsOf(context, pod, chains.parts.modes).flatMap(({ port, protocol }) => {
    const http = carriesHttp(protocol) && (features.http2 || (protocol !== 'http2' && protocol !== 'grpc'));
    return chains.forPort(port, http ? (protocol === 'detect' ? 'detect' : 'http') : 'tcp');
  });
  return {
    name: INBOUND,
    direction: 'inbound',
    addresses: [{ ip: '::', port: inboundPort }],
    useOriginalDst: true,
    proxyProtocol: false,
    detectTls: true,
    detectHttp: filterChains.some((chain) => chain.match.applicationProtocols.some((one) => plainHttp1.includes(one))),
    detectTimeoutMs,
    filterChains: [...filterChains, ...chains.others()],
    defaultFilterChain: chains.fallback(),
    settings,
  };
}

/** Those that something is known of, and those that a policy names. */
function portsOf(context: TranslateContext, pod: Pod, modes: TlsModes): PodPort[] {
  const known = podPorts(context.state, pod);
  const named = [...modes.ports.keys()].filter((port) => !known.some((one) => one.port === port));
  return [...known, ...named.map((port): PodPort => ({ port, protocol: 'detect' }))]
    .filter(({ port }) => !ownPorts.has(port))
    .sort((a, b) => a.port - b.port);
}

interface ChainParts {
  readonly authorization: WorkloadAuthorization;
  readonly overload: readonly HttpFilter[];
  readonly limits: HttpLimits;
  readonly accessLogs: readonly AccessLog[];
  readonly features: ClientFeatures;
  readonly modes: TlsModes;
  /** What finds out who the end user is. */
  readonly jwt: readonly HttpFilter[];
  readonly tunnels: Tunnels | undefined;
  readonly trustedHops: number;
}

class InboundChains {
  readonly parts: ChainParts;

  constructor(parts: ChainParts) {
    this.parts = parts;
  }

  forPort(port: number, kind: 'http' | 'tcp' | 'detect'): FilterChain[] {
    const chains = this.ofKind(port, kind);
    const refusals = this.parts.jwt.flatMap((filter) => (filter.kind === 'rbac' ? [filter.rbac] : []));
    // Where requests are refused, they are as well as bytes that nobody looks into.
    if (kind === 'tcp' || refusals.length === 0) return chains;
    return chains.map((chain) =>
      chain.terminal.kind === 'http' ? chain : { ...chain, networkRbac: [...refusals, ...chain.networkRbac] },
    );
  }

  private ofKind(port: number, kind: 'http' | 'tcp' | 'detect'): FilterChain[] {
    const mode = modeAt(this.parts.modes, port);
    const mesh = mode === 'DISABLED' ? [] : this.mesh(port, kind !== 'tcp', mode === 'STRICT');
    if (mode === 'STRICT') return mesh;
    const match = { ...anyTraffic, destinationPort: port };
    const opaque = this.tcp(`${port}/tcp`, match, undefined);
    mesh.push(...this.ownTls(port, mode));
    switch (kind) {
      case 'tcp':
        return [...mesh, opaque];
      case 'detect': {
        const detected = this.parts.features.http2 ? [...plainHttp1, 'h2c'] : plainHttp1;
        return [
          ...mesh,
          this.http(
            `${port}/http`,
            { ...match, transportProtocol: 'raw_buffer', applicationProtocols: detected },
            undefined,
          ),
          opaque,
        ];
      }
      case 'http': {
        const plain: FilterChainMatch = { ...match, transportProtocol: 'raw_buffer' };
        // HTTP/2 that the sidecar cannot read goes through as it is; so does TLS of the application's own.
        const h2c = this.parts.features.http2
          ? []
          : [this.tcp(`${port}/h2c`, { ...plain, applicationProtocols: ['h2c'] }, undefined)];
        return [...mesh, this.http(`${port}/http`, plain, undefined), ...h2c, opaque];
      }
    }
  }

  /** Mesh TLS, told apart from TLS of the application's own by its ALPN. */
  mesh(port: number | undefined, http: boolean, strict: boolean): FilterChain[] {
    const name = port ?? 'other';
    const match: FilterChainMatch = { ...anyTraffic, destinationPort: port, transportProtocol: 'tls' };
    const meshAlpn = this.parts.features.http2 ? [MESH_ALPN.http2, MESH_ALPN.http1] : [MESH_ALPN.http1];
    // Where nothing but the mesh is let in, `h2` can only be a peer of the mesh that is no sidecar, such as a gRPC program.
    const httpAlpn = strict && this.parts.features.http2 ? [...meshAlpn, 'h2'] : meshAlpn;
    const chains: FilterChain[] = [];
    if (http) {
      chains.push(this.http(`${name}/mesh-http`, { ...match, applicationProtocols: httpAlpn }, meshTls(httpAlpn)));
    }
    // A caller that says `opaque` could put headers past the filter that takes them off.
    if (http && port !== undefined && this.setsClaims) return chains;
    chains.push(
      this.tcp(`${name}/mesh-tcp`, { ...match, applicationProtocols: [MESH_ALPN.tcp] }, meshTls([MESH_ALPN.tcp])),
    );
    return chains;
  }

  private get setsClaims(): boolean {
    const { authorization, jwt } = this.parts;
    if (authorization.reserved.length > 0) return true;
    return jwt.some(
      (filter) => filter.kind === 'jwt' && filter.jwt.providers.some(({ claimHeaders }) => claimHeaders.length > 0),
    );
  }

  /** Ports that nobody declared. */
  others(): FilterChain[] {
    const { others } = this.parts.modes;
    const mesh = others === 'DISABLED' ? [] : this.mesh(undefined, true, others === 'STRICT');
    if (others === 'STRICT' || !this.strictSomewhere) return mesh;
    return [...mesh, ...this.ownTls(undefined, others), this.tcp('other/tcp', anyTraffic, undefined)];
  }

  /** It takes what no chain of a port does, so that there is none where a port takes the mesh alone. */
  fallback(): FilterChain | undefined {
    return this.strictSomewhere ? undefined : this.tcp('other/tcp', anyTraffic, undefined);
  }

  private get strictSomewhere(): boolean {
    const { ports, others } = this.parts.modes;
    return others === 'STRICT' || [...ports.values()].includes('STRICT');
  }

  /** Without a fallback, TLS of the application's own needs a chain beside those of the mesh. */
  private ownTls(port: number | undefined, mode: TlsMode): FilterChain[] {
    if (!this.strictSomewhere || mode === 'DISABLED') return [];
    const match: FilterChainMatch = { ...anyTraffic, destinationPort: port, transportProtocol: 'tls' };
    return [this.tcp(`${port ?? 'other'}/own-tls`, match, undefined)];
  }

  private http(name: string, match: FilterChainMatch, tls: DownstreamTls | undefined): FilterChain {
    const { authorization, overload, limits, accessLogs, jwt, tunnels, trustedHops } = this.parts;
    const route = { kind: 'inline', config: inboundRoutes(tunnels, tls !== undefined) } as const;
    const rbac = authorization.http.map(
      (one) => ({ kind: 'rbac', name: `weft.rbac.${one.action}`, rbac: one }) as const,
    );
    // Before tokens are read: a header of a claim may be one that an authorizer sets too.
    const filters = [...authorization.reserved, ...jwt, ...authorization.custom, ...rbac, ...overload];
    const manager = httpManager({ statPrefix: INBOUND, route, filters, limits, accessLogs });
    const terminal = { ...manager, trustedHops };
    return { name, match, tls, networkRbac: [], terminal };
  }

  private tcp(name: string, match: FilterChainMatch, tls: DownstreamTls | undefined): FilterChain {
    const { authorization, accessLogs } = this.parts;
    return { name, match, tls, networkRbac: authorization.network, terminal: tcpProxy(INBOUND, INBOUND, accessLogs) };
  }
}

const meshTls = (alpn: readonly string[]): DownstreamTls => ({
  certificate: { kind: 'secret', name: IDENTITY_SECRET },
  validation: { trust: { kind: 'secret', name: TRUST_SECRET }, subjectAltNames: [] },
  requireClientCertificate: true,
  alpn,
  parameters: { versionMin: 'TLSv1.3', versionMax: 'TLSv1.3' },
});

const accessLogsOf = (settings: WorkloadSettings): AccessLog[] => (settings.accessLog !== 'none' ? [stdoutLog] : []);

/** What routes may set something of; where they do not, these do nothing. */
const ofRoutes: readonly HttpFilter[] = [
  { kind: 'cors', name: CORS_FILTER },
  { kind: 'fault', name: FAULT_FILTER, fault: { headers: [] } },
  { kind: 'session', name: SESSION_FILTER, session: undefined },
];

type ManagerParts = Pick<HttpConnectionManager, 'statPrefix' | 'route' | 'filters' | 'limits' | 'accessLogs'>;

const httpManager = (parts: ManagerParts): HttpConnectionManager => ({
  kind: 'http',
  statPrefix: parts.statPrefix,
  codec: 'auto',
  route: parts.route,
  filters: [...parts.filters, { kind: 'router' }],
  limits: parts.limits,
  edge: { ...meshEdge, useRemoteAddress: parts.statPrefix === INBOUND },
  trustedHops: 0,
  accessLogs: parts.accessLogs,
});

const tcpProxy = (statPrefix: string, cluster: string, accessLogs: readonly AccessLog[]): TcpProxy => ({
  kind: 'tcp',
  statPrefix,
  clusters: [{ name: cluster, weight: 1 }],
  idleTimeoutMs: tcpIdleTimeoutMs,
  accessLogs,
});
