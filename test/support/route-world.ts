/**
 * Kubernetes objects in, requests out: the control plane's translation, its bytes on the wire, and a sidecar's real data
 * path over sockets, in one process. Redirection alone is played: the client says in a PROXY header where it was going.
 */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';
import { ClusterState } from '@weft/control-plane/index/state';
import { encodeTranslated } from '@weft/control-plane/resources/source';
import { parseObjects } from '@weft/control-plane/static/objects';
import type { TranslateContext } from '@weft/control-plane/translate/context';
import { translateOutbound } from '@weft/control-plane/translate/listener';
import { type Client, translateResource } from '@weft/control-plane/translate/resource';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { systemClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import type { Listener } from '@weft/policies/model/listener';
import type { Lookup, ResourceKind, ResourceMap, Snapshot, SnapshotSource } from '@weft/policies/model/snapshot';
import { decodeResource } from '@weft/policies/wire/resource';
import { createDataPlane, type DataPlane } from '@weft/sidecar/data-plane';
import { TestRecorder } from '@weft/sidecar/http/h1/testing';
import type { CertificateSource } from '@weft/sidecar/identity/source';

const noCertificates: CertificateSource = {
  get: () => undefined,
  own: () => undefined,
  onChange: () => () => undefined,
};

/** What a client's sidecar would have by xDS, translated when it asks; never pending. */
class TranslatedSource implements SnapshotSource {
  private readonly context: TranslateContext;
  private readonly client: Client;
  private readonly listener: Listener;
  private readonly listeners = new Set<(snapshot: Snapshot) => void>();
  private known = new Map<string, unknown>();
  private version = 1;

  constructor(context: TranslateContext, client: Client, listener: Listener) {
    this.context = context;
    this.client = client;
    this.listener = listener;
  }

  /** The cluster has changed. */
  refresh(): void {
    this.known = new Map();
    this.version++;
    for (const listener of this.listeners) listener(this.current());
  }

  current(): Snapshot {
    return { version: this.version, get: (kind, name) => this.lookup(kind, name) };
  }

  lookup<K extends ResourceKind>(kind: K, name: string): Lookup<ResourceMap[K]>;
  lookup(kind: ResourceKind, name: string): Lookup<ResourceMap[ResourceKind]> {
    if (kind === 'listener') return { state: 'found', value: this.listener };
    const key = `${kind} ${name}`;
    const known = this.known.get(key) as Lookup<ResourceMap[ResourceKind]> | undefined;
    if (known !== undefined) return known;
    const made = this.translated(kind, name);
    this.known.set(key, made);
    return made;
  }

  wait(): boolean {
    return false;
  }

  onChange(listener: (snapshot: Snapshot) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  private translated(kind: ResourceKind, name: string): Lookup<ResourceMap[ResourceKind]> {
    const resource = translateResource(this.context, kind, name, this.client);
    if (resource === undefined) return { state: 'absent' };
    const { typeUrl, bytes } = encodeTranslated(resource, name);
    const decoded = decodeResource(typeUrl, bytes);
    if (!decoded.ok) assert.fail(`${name}: ${decoded.error.map((one) => `${one.path}: ${one.message}`).join('; ')}`);
    return { state: 'found', value: decoded.value.value };
  }
}

export interface Caller {
  /** A connection that its sidecar takes for one to this address. */
  open(ip: string, port: number): Promise<Socket>;
  readonly recorder: TestRecorder;
}

interface RunningCaller extends Caller {
  readonly source: TranslatedSource;
  readonly plane: DataPlane;
}

/** A listener on loopback, of which nothing else is another than in a pod. */
const onLoopback = (listener: Listener): Listener => ({
  ...listener,
  addresses: [{ ip: '127.0.0.1', port: 0 }],
  useOriginalDst: false,
  proxyProtocol: true,
});

export class RouteWorld {
  readonly state = new ClusterState('weft-system');
  readonly context: TranslateContext;
  private readonly callers = new Map<string, RunningCaller>();
  private readonly sockets = new Set<Socket>();

  constructor() {
    const trustDomain = parseTrustDomain('cluster.local');
    assert.ok(trustDomain.ok);
    this.context = { state: this.state, trustDomain: trustDomain.value, isDrained: () => true };
  }

  apply(yaml: string): void {
    const objects = parseObjects(yaml);
    if (!objects.ok) assert.fail(objects.error);
    for (const object of objects.value) this.state.apply(object);
    for (const { source } of this.callers.values()) source.refresh();
  }

  /** Takes away all routes, so that one world serves many tests. */
  clearRoutes(): void {
    for (const kind of ['HTTPRoute', 'GRPCRoute', 'TCPRoute', 'TLSRoute', 'ReferenceGrant'] as const) {
      for (const key of this.state.keys(kind)) this.state.delete(kind, key);
    }
    for (const { source } of this.callers.values()) source.refresh();
  }

  /** The sidecar of a pod: of it only the namespace makes a difference to routes. */
  async caller(podKey: string): Promise<Caller> {
    const known = this.callers.get(podKey);
    if (known !== undefined) return known;
    const pod = this.state.pods.get(podKey);
    assert.ok(pod !== undefined, `there is no pod ${podKey}`);
    const features = { http2: true, locality: true, connect: true };
    const listener = onLoopback(translateOutbound(this.context, pod, features));
    const client = { namespace: pod.metadata.namespace, podKey, features };
    const source = new TranslatedSource(this.context, client, listener);
    const recorder = new TestRecorder();
    const plane = createDataPlane({
      source,
      listenerNames: [listener.name],
      certificates: noCertificates,
      recorder,
      clock: systemClock,
      prng: new SeededPrng(7),
      ownIps: new Set(),
    });
    const started = await plane.listeners.start();
    if (!started.ok) assert.fail(started.error);
    const through = plane.listeners.stats()[0]?.addresses[0]?.port;
    assert.ok(through !== undefined);
    const open = (ip: string, port: number): Promise<Socket> => this.open(through, ip, port);
    const made: RunningCaller = { source, plane, recorder, open };
    this.callers.set(podKey, made);
    return made;
  }

  stop(): void {
    for (const socket of this.sockets) socket.destroy();
    for (const { plane } of this.callers.values()) {
      plane.listeners.close();
      plane.clusters.close();
    }
  }

  private async open(through: number, ip: string, port: number): Promise<Socket> {
    const socket = connect({ host: '127.0.0.1', port: through });
    this.sockets.add(socket);
    socket.once('close', () => this.sockets.delete(socket));
    await once(socket, 'connect');
    const family = ip.includes(':') ? 'TCP6' : 'TCP4';
    const from = ip.includes(':') ? '::1' : '127.0.0.1';
    socket.write(`PROXY ${family} ${from} ${ip} ${socket.localPort} ${port}\r\n`);
    return socket;
  }
}
