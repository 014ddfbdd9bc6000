import type { SpiffeId } from '../identity/spiffe-id.ts';

/** IP in canonical text (RFC 5952 for IPv6, no brackets, no zone; never IPv4-mapped) and port. */
export interface SocketAddress {
  readonly ip: string;
  readonly port: number;
}

/** `10.0.0.0/8`, `fd00::/8`. */
export interface CidrRange {
  readonly ip: string;
  readonly prefixBits: number;
}

/** What a port speaks; `detect` looks at the first bytes. */
export type AppProtocol = 'detect' | 'tcp' | 'http' | 'http2' | 'grpc' | 'tls';

export interface ServicePort {
  readonly port: number;
  readonly protocol: AppProtocol;
  /** Empty string: none. */
  readonly routeConfiguration: string;
  readonly cluster: string;
  /** Where connections go in place of `cluster`; the protocol is `tcp` or `tls` then. */
  readonly connections?: ConnectionRoutes;
}

export type ConnectionRoutes =
  | { readonly kind: 'weighted'; readonly clusters: readonly WeightedTcpCluster[] }
  /** TLS by the name that the client asks for, which stays encrypted; what has another name, or none, is refused. */
  | { readonly kind: 'server-names'; readonly routes: readonly ServerNameRoute[] };

/** The first with the name itself, else the first with the longest wildcard that is part of it. */
export interface ServerNameRoute {
  /** Lower case; `*.shop.example` stands for any names under it. */
  readonly serverNames: readonly string[];
  readonly clusters: readonly WeightedTcpCluster[];
}

export interface WeightedTcpCluster {
  /** Empty: connections that fall to it are refused, as they are where all weights are 0. */
  readonly name: string;
  readonly weight: number;
}

/** What an IP stands for: xDS type `weft.v1.Address`. */
export type Address = ServiceAddress | WorkloadAddress;

export interface ServiceAddress {
  readonly kind: 'service';
  readonly namespace: string;
  readonly name: string;
  readonly ports: readonly ServicePort[];
}

/** These ports; or, with `others`, all but these. */
export interface PlaintextPorts {
  readonly ports: readonly number[];
  readonly others: boolean;
}

export const isPlaintextPort = ({ ports, others }: PlaintextPorts, port: number): boolean =>
  ports.includes(port) !== others;

export interface WorkloadAddress {
  readonly kind: 'workload';
  readonly namespace: string;
  readonly name: string;
  readonly spiffeId: SpiffeId;
  readonly workloadName: string;
  readonly zone: string;
  /** Node that it runs on; absent: not known. */
  readonly node?: string;
  readonly mtls: boolean;
  /** Where callers use no mesh TLS although there is a sidecar; absent: nowhere. */
  readonly plaintext?: PlaintextPorts;
  readonly service: string;
  /** Route configuration and cluster where the port is one of a headless Service, else neither. */
  readonly ports: readonly ServicePort[];
  readonly terminating: boolean;
}
