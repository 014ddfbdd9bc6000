/** Who comes in without TLS of the mesh, and who is kept out for it: what a decision to go strict rests on. */

import type { SocketAddress } from '@weft/policies/model/address';
import type { Listener } from '@weft/policies/model/listener';
import type { SnapshotSource } from '@weft/policies/model/snapshot';
import type { Recorder } from '../telemetry/record.ts';

/** Addresses outside of the mesh are of anybody: what comes after these is counted together. */
const SOURCES_MAX = 128;

type RefusedTls = 'plaintext' | 'alpn' | 'version' | 'no_certificate' | 'untrusted' | 'handshake';

interface Deps {
  readonly source: SnapshotSource;
  readonly recorder: Recorder;
}

interface Connection {
  readonly listener: Listener;
  readonly remoteIp: string;
  readonly destination: SocketAddress;
}

const known = new WeakMap<Recorder, Set<string>>();

/** A workload by its name, anybody else by address. */
function sourceOf({ source, recorder }: Deps, remoteIp: string): string {
  const found = source.lookup('address', remoteIp);
  const workload = found.state === 'found' && found.value.kind === 'workload' ? found.value : undefined;
  const name = workload === undefined ? remoteIp : `${workload.namespace}/${workload.workloadName}`;
  let names = known.get(recorder);
  if (names === undefined) {
    names = new Set();
    known.set(recorder, names);
  }
  if (names.has(name)) return name;
  if (names.size < SOURCES_MAX) {
    names.add(name);
    return name;
  }
  recorder.count('plaintext.sources_max');
  return 'other';
}

const labelsOf = (deps: Deps, { listener, remoteIp, destination }: Connection) => ({
  source: sourceOf(deps, remoteIp),
  destination_workload: listener.settings?.workloadName ?? '',
  destination_port: destination.port,
});

/** STRICT would have refused it. `tls`: it is TLS of the application's own. */
export function countPlaintext(deps: Deps, connection: Connection, tls: boolean): void {
  if (connection.listener.direction !== 'inbound' || connection.listener.settings === undefined) return;
  const labels = { ...labelsOf(deps, connection), tls: tls ? 'own' : 'none' };
  deps.recorder.tally?.('weft_plaintext_connections_total', labels);
}

export function countRefused(deps: Deps, connection: Connection, reason: RefusedTls): void {
  if (connection.listener.direction !== 'inbound' || connection.listener.settings === undefined) return;
  deps.recorder.tally?.('weft_tls_refused_total', { ...labelsOf(deps, connection), reason });
}

export const explain: Readonly<Record<'plaintext' | 'alpn', string>> = {
  plaintext: 'plaintext to a port that takes mutual TLS of the mesh alone',
  alpn: 'TLS of another protocol than those of the mesh, to a port that takes no other',
};

/** By what TLS itself said: names of OpenSSL's errors, and those of our own checks. */
export function handshakeReason(error: string): RefusedTls {
  if (/UNSUPPORTED_PROTOCOL|WRONG_VERSION|PROTOCOL_VERSION/.test(error)) return 'version';
  if (/DID_NOT_RETURN_A_CERTIFICATE|no certificate/.test(error)) return 'no_certificate';
  if (/NO_APPLICATION_PROTOCOL/.test(error)) return 'alpn';
  if (/CERTIFICATE|certificate|trust/.test(error)) return 'untrusted';
  return 'handshake';
}
