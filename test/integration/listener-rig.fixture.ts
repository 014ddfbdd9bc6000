/** The data path in front of real servers: listeners, codecs, dial; routing is the name of a cluster and nothing else. */

import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto';
import { createSecureContext } from 'node:tls';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { testCertificate } from '@weft/policies/identity/x509/certificate.testing';
import { encodePem } from '@weft/policies/identity/x509/pem';
import { systemClock } from '@weft/policies/kit/clock';
import type { Address, SocketAddress } from '@weft/policies/model/address';
import { plainEndpoint } from '@weft/policies/model/cluster';
import { meshEdge } from '@weft/policies/model/edge';
import {
  anyTraffic,
  defaultHttpLimits,
  type FilterChain,
  type HttpConnectionManager,
  type Listener,
  type TcpProxy,
} from '@weft/policies/model/listener';
import type { Lookup, ResourceKind, ResourceMap, SnapshotSource } from '@weft/policies/model/snapshot';
import { type DownstreamTls, IDENTITY_SECRET, TRUST_SECRET } from '@weft/policies/model/tls';
import { evaluateNetwork } from '@weft/sidecar/filters/rbac/engine';
import type { Dispatch, Downstream, UpstreamConnection } from '@weft/sidecar/http/exchange';
import { connectHttp1 } from '@weft/sidecar/http/h1/client';
import { answer, forward, TestRecorder } from '@weft/sidecar/http/h1/testing';
import type { KeyMaterial } from '@weft/sidecar/identity/material';
import type { TrustData } from '@weft/sidecar/identity/peer-trust';
import type { CertificateSource, WorkloadCertificate } from '@weft/sidecar/identity/source';
import { createListenerManager, type ListenerManager } from '@weft/sidecar/listener/manager';
import type { UpstreamSecurity } from '@weft/sidecar/net/connection';
import { createDial } from '@weft/sidecar/net/dial';
import type { TcpUpstreams } from '@weft/sidecar/tcp/proxy';

/** A source whose resources a test sets; everything else is absent. */
export class TestSource implements SnapshotSource {
  readonly listeners = new Map<string, Listener>();
  readonly addresses = new Map<string, Address | 'pending'>();
  waits = true;
  private readonly changed = new Set<(snapshot: never) => void>();
  private readonly waiting: (() => void)[] = [];

  current(): never {
    throw new Error('not used here');
  }

  lookup<K extends ResourceKind>(kind: K, name: string): Lookup<ResourceMap[K]>;
  lookup(kind: ResourceKind, name: string): Lookup<ResourceMap[ResourceKind]> {
    if (kind === 'listener') {
      const listener = this.listeners.get(name);
      return listener === undefined ? { state: 'absent' } : { state: 'found', value: listener };
    }
    const address = kind === 'address' ? this.addresses.get(name) : undefined;
    if (address === 'pending') return { state: 'pending' };
    return address === undefined ? { state: 'absent' } : { state: 'found', value: address };
  }

  wait<K extends ResourceKind>(
    kind: K,
    name: string,
    timeoutMs: number,
    done: (lookup: Lookup<ResourceMap[K]>) => void,
  ): boolean {
    if (!this.waits) return false;
    let called = false;
    const call = (): void => {
      if (called) return;
      called = true;
      clearTimeout(timer);
      done(this.lookup(kind, name));
    };
    const timer = setTimeout(call, timeoutMs);
    this.waiting.push(call);
    return true;
  }

  onChange(listener: (snapshot: never) => void): () => void {
    this.changed.add(listener);
    return () => this.changed.delete(listener);
  }

  notify(): void {
    for (const call of this.waiting.splice(0)) call();
    for (const listener of this.changed) Reflect.apply(listener, undefined, []);
  }
}

export interface Target {
  /** Undefined: the original destination. */
  readonly address: SocketAddress | undefined;
  readonly security: UpstreamSecurity;
}

export interface Rig {
  readonly manager: ListenerManager;
  readonly source: TestSource;
  readonly recorder: TestRecorder;
  readonly exchanges: Downstream[];
  /** Of the first address of that listener. */
  port(name: string): number;
}

export interface RigOptions {
  readonly listeners: readonly Listener[];
  /** By cluster name; HTTP goes to the one that its manager's statPrefix names. */
  readonly clusters: Readonly<Record<string, Target>>;
  readonly certificates?: CertificateSource;
  readonly addresses?: Readonly<Record<string, Address | 'pending'>>;
  readonly onDemandWaitMsMax?: number;
  readonly handshakeTimeoutMs?: number;
}

/** Longer than a busy machine keeps anybody waiting. */
const TIMEOUT_MS = 20_000;

const noCertificates: CertificateSource = {
  get: () => undefined,
  own: () => undefined,
  onChange: () => () => undefined,
};

export async function startRig(options: RigOptions): Promise<Rig> {
  const source = new TestSource();
  for (const listener of options.listeners) source.listeners.set(listener.name, listener);
  for (const [ip, address] of Object.entries(options.addresses ?? {})) source.addresses.set(ip, address);
  const recorder = new TestRecorder();
  const certificates = options.certificates ?? noCertificates;
  const dial = createDial({ certificates, clock: systemClock, recorder });
  const exchanges: Downstream[] = [];
  const resolve = (cluster: string, destination: SocketAddress) => {
    const target = options.clusters[cluster];
    if (target === undefined) throw new Error(`the test has no cluster ${cluster}`);
    return { endpoint: { address: target.address ?? destination }, security: target.security, timeoutMs: TIMEOUT_MS };
  };

  const createDispatch = (hcm: HttpConnectionManager): Dispatch => {
    const idle: UpstreamConnection[] = [];
    return (exchange) => {
      exchanges.push(exchange);
      const { destinationIp: ip, destinationPort: port } = exchange.connection;
      exchange.head.headers.append('X-Destination', `${ip} ${port}`);
      let free = idle.pop();
      while (free !== undefined && free.available === 0) free = idle.pop();
      if (free !== undefined) {
        forward(exchange, free);
        return;
      }
      dial(resolve(hcm.statPrefix, { ip, port }), (result) => {
        if ('error' in result) {
          answer(exchange, result.error.status, `${result.error.flag} ${result.error.detail}\n`);
          return;
        }
        const connection = connectHttp1(result.transport, { recorder });
        connection.onChange = () => {
          if (connection.available > 0) idle.push(connection);
        };
        forward(exchange, connection);
      });
    };
  };

  const tcpUpstreams: TcpUpstreams = {
    connect: (cluster, destination, done) => {
      const request = resolve(cluster, destination);
      return dial(request, (result) => {
        if ('error' in result) done(result);
        else
          done({
            transport: result.transport,
            endpoint: plainEndpoint(request.endpoint.address),
            cluster,
            release() {},
          });
      });
    },
  };
  const manager = createListenerManager({
    source,
    listenerNames: options.listeners.map(({ name }) => name),
    certificates,
    createDispatch,
    tcpUpstreams,
    evaluateNetwork,
    recorder,
    clock: systemClock,
    onDemandWaitMsMax: options.onDemandWaitMsMax ?? 2_000,
    handshakeTimeoutMs: options.handshakeTimeoutMs ?? TIMEOUT_MS,
  });
  const started = await manager.start();
  if (!started.ok) throw new Error(started.error);
  const port = (name: string): number => manager.stats().find((stats) => stats.name === name)?.addresses[0]?.port ?? 0;
  return { manager, source, recorder, exchanges, port };
}

export const plaintext: UpstreamSecurity = { kind: 'plaintext' };

export const http = (
  cluster: string,
  route: HttpConnectionManager['route']['kind'] = 'inline',
): HttpConnectionManager => ({
  kind: 'http',
  statPrefix: cluster,
  codec: 'auto',
  route:
    route === 'rds'
      ? { kind: 'rds', name: 'weft.dev/original-destination' }
      : { kind: 'inline', config: { name: cluster, virtualHosts: [] } },
  filters: [],
  limits: defaultHttpLimits,
  edge: meshEdge,
  trustedHops: 0,
  accessLogs: [],
});

export const tcp = (cluster: string, idleTimeoutMs = 0): TcpProxy => ({
  kind: 'tcp',
  statPrefix: cluster,
  clusters: [{ name: cluster, weight: 1 }],
  idleTimeoutMs,
  accessLogs: [],
});

export const chain = (terminal: FilterChain['terminal'], fields: Partial<FilterChain> = {}): FilterChain => ({
  name: terminal.statPrefix,
  match: anyTraffic,
  tls: undefined,
  networkRbac: [],
  terminal,
  ...fields,
});

export const listener = (name: string, fields: Partial<Listener>): Listener => ({
  name,
  direction: 'inbound',
  addresses: [{ ip: '::', port: 0 }],
  useOriginalDst: false,
  detectTls: false,
  detectHttp: false,
  proxyProtocol: false,
  detectTimeoutMs: 100,
  filterChains: [],
  defaultFilterChain: undefined,
  settings: undefined,
  ...fields,
});

export const meshTls = (alpn: readonly string[]): DownstreamTls => ({
  certificate: { kind: 'secret', name: IDENTITY_SECRET },
  validation: { trust: { kind: 'secret', name: TRUST_SECRET }, subjectAltNames: [] },
  requireClientCertificate: true,
  alpn,
  parameters: { versionMin: 'TLSv1.3', versionMax: 'TLSv1.3' },
});

/** A real authority with its root. */
export class TestAuthority {
  readonly keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  rootPem = '';
  private name = 'test root';

  static async make(name = 'test root'): Promise<TestAuthority> {
    const authority = new TestAuthority();
    authority.name = name;
    authority.rootPem = await authority.certificate(authority.keys.publicKey, undefined);
    return authority;
  }

  /** What a sidecar makes its certificate of. */
  async material(spiffeId: SpiffeId, trust?: TrustData, generation = 1): Promise<KeyMaterial> {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    return {
      spiffeId,
      notBeforeUnixMs: Date.now() - 60_000,
      notAfterUnixMs: Date.now() + 3_600_000,
      serialHex: '',
      chainPem: await this.certificate(keys.publicKey, spiffeId),
      key: keys.privateKey,
      trustPem: this.rootPem,
      trust,
      generation,
      ticketKeys: randomBytes(48),
    };
  }

  async issue(spiffeId: SpiffeId, generation = 1): Promise<WorkloadCertificate & { certPem: string; keyPem: string }> {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const certPem = await this.certificate(keys.publicKey, spiffeId);
    const keyPem = keys.privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();
    return {
      spiffeId,
      notBeforeUnixMs: Date.now() - 60_000,
      notAfterUnixMs: Date.now() + 3_600_000,
      serialHex: '',
      context: createSecureContext({
        cert: certPem,
        key: keyPem,
        ca: this.rootPem,
        minVersion: 'TLSv1.3',
        maxVersion: 'TLSv1.3',
      }),
      trustPem: this.rootPem,
      generation,
      certPem,
      keyPem,
    };
  }

  private async certificate(publicKey: KeyObject, id: SpiffeId | undefined): Promise<string> {
    const der = await testCertificate({
      issuer: this.name,
      issuerKey: this.keys.privateKey,
      publicKey,
      id,
      notBeforeMs: Date.now() - 60_000,
      notAfterMs: Date.now() + 3_600_000,
      extKeyUsage: ['serverAuth', 'clientAuth'],
    });
    return encodePem('CERTIFICATE', der);
  }
}

export class TestCertificates implements CertificateSource {
  certificate: WorkloadCertificate | undefined;
  private readonly listeners = new Set<(certificate: WorkloadCertificate) => void>();

  constructor(certificate: WorkloadCertificate | undefined) {
    this.certificate = certificate;
  }

  get(): WorkloadCertificate | undefined {
    return this.certificate;
  }

  own(): WorkloadCertificate | undefined {
    return this.certificate;
  }

  onChange(listener: (certificate: WorkloadCertificate) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  /** As after a rotation, or when trust has changed. */
  set(certificate: WorkloadCertificate): void {
    this.certificate = certificate;
    for (const listener of this.listeners) listener(certificate);
  }
}
