import type { Clock } from '@weft/policies/kit/clock';
import type { Rbac } from '@weft/policies/model/authorization';
import type { FilterChain, HttpConnectionManager, Listener } from '@weft/policies/model/listener';
import type { SnapshotSource } from '@weft/policies/model/snapshot';
import type { SlotShare } from '../cluster/shared-slots.ts';
import type { Dispatch } from '../http/exchange.ts';
import type { CertificateSource } from '../identity/source.ts';
import type { PeerCertificateInfo } from '../net/connection.ts';
import type { OverloadState } from '../overload/state.ts';
import type { TcpUpstreams } from '../tcp/proxy.ts';
import type { Recorder } from '../telemetry/record.ts';

/** Several threads listen at the same addresses. */
export interface ListenerSharing {
  /** Connections of one listener over all threads. */
  connectionsOf(listenerName: string): SlotShare;
}

/** What network RBAC decides on. */
interface NetworkSubject {
  readonly remoteIp: string;
  readonly destinationIp: string;
  readonly destinationPort: number;
  readonly peer: PeerCertificateInfo | undefined;
}

export interface ListenerDeps {
  readonly source: SnapshotSource;
  /** Looked up in the source, by name. */
  readonly listenerNames: readonly string[];
  readonly certificates: CertificateSource;
  readonly createDispatch: (hcm: HttpConnectionManager, listener: Listener) => Dispatch;
  readonly tcpUpstreams: TcpUpstreams;
  readonly evaluateNetwork: (
    rbacs: readonly Rbac[],
    connection: NetworkSubject,
  ) => { readonly allowed: boolean; readonly rule: string };
  readonly recorder: Recorder;
  /** The recorder of a chain that has loggers of its own. */
  readonly recorderOf?: (terminal: FilterChain['terminal'], listener: Listener) => Recorder;
  readonly clock: Clock;
  /** How long a connection waits for what its destination stands for. */
  readonly onDemandWaitMsMax: number;
  readonly connectionsMax?: number;
  /** Undefined: this is the only thread that listens. */
  readonly sharing?: ListenerSharing | undefined;
  readonly overload?: OverloadState | undefined;
  readonly handshakeTimeoutMs?: number;
}
