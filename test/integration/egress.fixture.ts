/**
 * Runs in a network namespace, as the UID that redirection leaves alone: a data plane whose resources are translated of
 * objects as the control plane does it, over the wire's encoding; servers of two owners; and a DNS of its own.
 */
import { readFileSync } from 'node:fs';
import { createServer, type RequestListener } from 'node:http';
import { createServer as createSecureServer } from 'node:https';
import { createServer as createTcpServer } from 'node:net';
import { TLSSocket } from 'node:tls';
import { ClusterState } from '@weft/control-plane/index/state';
import { encodeTranslated } from '@weft/control-plane/resources/source';
import { parseObjects } from '@weft/control-plane/static/objects';
import { translateResource } from '@weft/control-plane/translate/resource';
import { parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import type { Lookup, ResourceKind, ResourceMap, Snapshot, SnapshotSource } from '@weft/policies/model/snapshot';
import { decodeResource } from '@weft/policies/wire/resource';
import { createDataPlane } from '@weft/sidecar/data-plane';
import { TestRecorder } from '@weft/sidecar/http/h1/testing';
import { plaintextIdentity } from './egress-identity.fixture.ts';

/** Without objects: the servers alone. */
const [, , folder = '', objects = ''] = process.argv;
const tls = {
  cert: readFileSync(`${folder}/server.pem`),
  key: readFileSync(`${folder}/server.key`),
};
const initial = objects === '' ? undefined : readFileSync(objects, 'utf8');
process.setgid?.(1337);
process.setuid?.(1337);

const answer: RequestListener = (request, response) => {
  const { socket } = request;
  const sni = socket instanceof TLSSocket ? `tls ${socket.servername === false ? '-' : socket.servername}` : 'plain';
  response.end(`${socket.localAddress?.replace('::ffff:', '')} ${request.headers.host} ${sni}\n`);
};
const listening = [80, 8443, 9999].map((port) => createServer(answer).listen(port, '::'));
listening.push(createSecureServer(tls, answer).listen(443, '::'));
createTcpServer((socket) => {
  socket.on('error', () => undefined);
  socket.end(`db at ${socket.localAddress?.replace('::ffff:', '')}\n`);
}).listen(3306, '::');

const trustDomain = parseTrustDomain('cluster.local');
if (!trustDomain.ok) throw new Error(trustDomain.error);
const state = new ClusterState('weft-system');
const context = { state, trustDomain: trustDomain.value, isDrained: () => false };
function apply(text: string): void {
  const parsed = parseObjects(text);
  if (!parsed.ok) throw new Error(parsed.error);
  for (const object of parsed.value) state.apply(object);
}

/** The control plane, as far as a sidecar sees it. */
class TranslatedSource implements SnapshotSource {
  private readonly known = new Map<string, Lookup<ResourceMap[ResourceKind]>>();
  private readonly listeners = new Set<(snapshot: Snapshot) => void>();
  private version = 1;

  current(): Snapshot {
    return { version: this.version, get: (kind, name) => this.lookup(kind, name) };
  }

  lookup<K extends ResourceKind>(kind: K, name: string): Lookup<ResourceMap[K]>;
  lookup(kind: ResourceKind, name: string): Lookup<ResourceMap[ResourceKind]> {
    const key = `${kind} ${name}`;
    let found = this.known.get(key);
    if (found === undefined) {
      found = this.translate(kind, name);
      this.known.set(key, found);
    }
    return found;
  }

  wait(): boolean {
    return false;
  }

  onChange(listener: (snapshot: Snapshot) => void): () => void {
    this.listeners.add(listener);
    return () => this.listeners.delete(listener);
  }

  changed(): void {
    this.known.clear();
    this.version++;
    for (const listener of this.listeners) listener(this.current());
  }

  private translate(kind: ResourceKind, name: string): Lookup<ResourceMap[ResourceKind]> {
    const client = {
      namespace: 'shop',
      podKey: 'shop/client',
      features: { http2: true, locality: true, connect: true },
    };
    const made = translateResource(context, kind, name, client);
    if (made === undefined) return { state: 'absent' };
    const wire = encodeTranslated(made, name);
    const decoded = decodeResource(wire.typeUrl, wire.bytes);
    if (!decoded.ok) throw new Error(JSON.stringify(decoded.error));
    return { state: 'found', value: decoded.value.value };
  }
}

async function proxy(initial: string): Promise<void> {
  apply(initial);
  const source = new TranslatedSource();
  const recorder = new TestRecorder();
  const names = new Map([
    ['api.example.com', ['10.88.0.1']],
    ['v6.example.com', ['fd88::1']],
    ['secure.example.com', ['10.88.0.1']],
    ['misnamed.example.org', ['10.88.0.1']],
    ['evil.example.org', ['10.88.0.66']],
  ]);
  const asked: string[] = [];
  const plane = createDataPlane({
    source,
    listenerNames: ['outbound'],
    certificates: plaintextIdentity,
    recorder,
    clock: systemClock,
    prng: systemPrng,
    ownIps: new Set(),
    resolveHost: (host, done) => {
      asked.push(host);
      const below = /\.(wild|tls)\.example\.com$/.test(host) ? ['10.88.0.1'] : undefined;
      const ips = names.get(host) ?? below;
      setImmediate(() => done(ips === undefined ? { error: 'no such name' } : { ips }));
    },
  });
  const started = await plane.listeners.start();
  if (!started.ok) throw new Error(started.error);

  process.on('message', (message) => {
    if (typeof message === 'string' && message.startsWith('apply ')) {
      apply(message.slice('apply '.length));
      source.changed();
      process.send?.('applied');
    }
    if (message === 'stats') process.send?.({ records: recorder.records, events: recorder.events, asked });
  });
}

if (initial !== undefined) await proxy(initial);
process.send?.('ready');
