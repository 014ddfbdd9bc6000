import type { Socket } from 'node:net';
import { systemPrng } from '@weft/policies/kit/prng';
import type { SocketAddress } from '@weft/policies/model/address';
import type { FilterChain, Listener } from '@weft/policies/model/listener';
import type { PeerCertificateInfo } from '../net/connection.ts';
import type { Deadlines } from '../net/deadlines.ts';
import { pickCluster } from '../tcp/proxy.ts';
import type { ListenerDeps } from './deps.ts';
import { type Detection, OPAQUE } from './detect.ts';
import { EarlyUpstream } from './early-upstream.ts';
import type { ConnectionFacts } from './filter-chain-match.ts';
import { awaitFirstWords, type FirstWords, type FirstWordsOptions } from './first-words.ts';
import type { ListenerRuntime } from './runtime.ts';
import type { ServerFirstPorts } from './server-first.ts';

/** A connection of which nothing is known but where it comes from and where it goes. */
export interface Opening {
  readonly deps: ListenerDeps;
  readonly deadlines: Deadlines;
  readonly serverFirst: ServerFirstPorts;
  readonly handshakeTimeoutMs: number;
  readonly runtime: ListenerRuntime;
  readonly remoteIp: string;
  readonly destination: SocketAddress;
}

/** How long a server's first words are kept from a client that may be about to begin TLS of the mesh. */
const HOLD_MS = 20;
/** From one that is known to have a sidecar, which always does. */
const HOLD_MESH_MS = 1_000;

/** What chains are matched by. */
export function factsOf(listener: Listener, destination: SocketAddress, detection: Detection): ConnectionFacts {
  const facts = { destinationIp: destination.ip, destinationPort: destination.port };
  if (detection.kind === 'tls' && listener.detectTls) {
    const { serverName, alpn } = detection;
    return { ...facts, serverName, transport: 'tls', applicationProtocols: alpn };
  }
  const protocols = detection.kind === 'http1' ? [detection.version] : detection.kind === 'http2' ? ['h2c'] : [];
  return {
    ...facts,
    serverName: '',
    transport: 'raw_buffer',
    applicationProtocols: listener.detectHttp ? protocols : [],
  };
}

/** What the rules about connections say. */
export function decideNetwork(
  { deps, remoteIp, destination }: Pick<Opening, 'deps' | 'remoteIp' | 'destination'>,
  chain: FilterChain,
  peer: PeerCertificateInfo | undefined,
): { readonly allowed: boolean; readonly rule: string } {
  if (chain.networkRbac.length === 0) return { allowed: true, rule: '' };
  const subject = { remoteIp, destinationIp: destination.ip, destinationPort: destination.port, peer };
  return deps.evaluateNetwork(chain.networkRbac, subject);
}

/** `cluster`: undefined for that of the chain. Undefined where opaque bytes would not be let through: then the upstream is not bothered either. */
export function earlyDial(
  opening: Opening,
  opaque: FilterChain | undefined,
  cluster: string | undefined,
): (() => EarlyUpstream) | undefined {
  const { deps, runtime, destination } = opening;
  if (opaque?.terminal.kind !== 'tcp' || opaque.tls !== undefined) return undefined;
  if (runtime.needsRequests(factsOf(runtime.listener, destination, OPAQUE), opaque)) return undefined;
  if (!decideNetwork(opening, opaque, undefined).allowed) return undefined;
  const { clusters, hashesSource } = opaque.terminal;
  const source = { ip: opening.remoteIp, hashed: hashesSource === true };
  return () => new EarlyUpstream(deps.tcpUpstreams, cluster ?? pickCluster(clusters, systemPrng), destination, source);
}

/** Waits for whoever speaks first, and remembers where that is the server. */
export function listenToBoth(
  socket: Socket,
  opening: Opening,
  options: Pick<FirstWordsOptions, 'bytes' | 'dial' | 'silenceMs'> & { readonly opaque: FilterChain | undefined },
  done: (words: FirstWords) => void,
): void {
  const { deps, deadlines, serverFirst, handshakeTimeoutMs, destination } = opening;
  const { recorder, clock } = deps;
  const { closesUndetected: closes = false, detectTimeoutMs } = opening.runtime.listener;
  // Nobody is called for a client of which nothing is known.
  const asked = closes
    ? { ...options, dial: undefined, silenceMs: detectTimeoutMs || Number.POSITIVE_INFINITY }
    : options;
  const rest: Omit<FirstWordsOptions, keyof typeof options> = {
    deadlines,
    nowMs: () => clock.nowMs(),
    serverFirst: asked.dial !== undefined && serverFirst.has(destination),
    holdMs: () => holdMs(opening),
    beginningMs: handshakeTimeoutMs,
    idleMs: idleMsOf(options.opaque),
    closes,
    onSilence: () => recorder.count('listener.detect_timeout'),
  };
  awaitFirstWords(socket, { ...asked, ...rest }, (words) => {
    if (words.speaker === 'server') {
      recorder.count('listener.detect_server_first');
      serverFirst.add(destination);
    } else if (words.detection.kind === 'http1' || words.detection.kind === 'http2') {
      serverFirst.forget(destination);
    }
    done(words);
  });
}

function holdMs({ deps, runtime: { listener }, runtime, remoteIp, destination }: Opening): number {
  if (!listener.detectTls || !runtime.endsTls(destination.port)) return 0;
  const client = deps.source.lookup('address', remoteIp);
  if (client.state === 'pending') return Math.max(HOLD_MS, listener.detectTimeoutMs);
  return client.state === 'found' && client.value.kind === 'workload' && client.value.mtls ? HOLD_MESH_MS : HOLD_MS;
}

const idleMsOf = (opaque: FilterChain | undefined): number =>
  opaque?.terminal.kind === 'tcp' && opaque.terminal.idleTimeoutMs > 0
    ? opaque.terminal.idleTimeoutMs
    : Number.POSITIVE_INFINITY;
