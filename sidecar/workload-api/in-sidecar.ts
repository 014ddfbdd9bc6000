/** The Workload API of a pod, served by its sidecar to the pod's own programs. */
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { ok, type Result } from '@weft/policies/kit/result';
import type { SnapshotSource } from '@weft/policies/model/snapshot';
import type { ControlChannel } from '../control-channel.ts';
import { followTrust } from '../identity/trust-follower.ts';
import type { ProcessPorts } from '../mesh-sidecar.ts';
import { UnixGrpcServer } from './grpc-server.ts';
import { HandedOutIdentity } from './handed-out.ts';

export interface PodWorkloadApi extends ProcessPorts {
  readonly socket: string;
  readonly spiffeId: SpiffeId;
  readonly channel: ControlChannel;
  readonly source: SnapshotSource;
  /** Calls whenever the control plane is there again. */
  readonly onConnected: (listener: () => void) => void;
  readonly count: (event: string) => void;
}

export async function serveWorkloadApi(options: PodWorkloadApi): Promise<Result<{ close(): void }, string>> {
  const { socket, spiffeId, channel, source, clock, prng, log, count } = options;
  const { jwtAuthority, JwtSvids, workloadApiHandlers } = await import('./answers.ts');
  const handedOut = new HandedOutIdentity({ spiffeId, sign: (csr) => channel.sign(csr), clock, prng, log, count });
  followTrust(source, spiffeId, handedOut.manager);
  options.onConnected(() => handedOut.manager.retrySoon());
  const jwt = new JwtSvids(jwtAuthority(channel), spiffeId, clock);
  const isAllowed = (): boolean => true;
  const server = new UnixGrpcServer({
    path: socket,
    // Whoever sees the volume is of the pod, whose identity it is; containers of a pod run as users of their own choice.
    mode: 0o666,
    handlers: workloadApiHandlers({ spiffeId, handedOut, jwt, clock, isAllowed, log, count }),
    isAllowed,
    clock,
    log,
    count,
  });
  const listening = await server.listen();
  if (!listening.ok) return listening;
  return ok({
    close() {
      server.close();
      jwt.close();
      handedOut.close();
    },
  });
}
