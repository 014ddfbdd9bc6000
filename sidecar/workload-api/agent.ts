/** The Workload API for processes and virtual machines with no proxy: joins by token, renews by certificate. */
import { X509Certificate } from 'node:crypto';
import { isIP } from 'node:net';
import { parseSpiffeId, type SpiffeId } from '@weft/policies/identity/spiffe-id';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Secret } from '@weft/policies/kit/secret';
import { TRUST_SECRETS } from '@weft/policies/model/trust';
import { type ChannelCredential, ControlChannel } from '../control-channel.ts';
import { IdentityManager } from '../identity/manager.ts';
import { StateDir } from '../identity/state-dir.ts';
import { followTrust } from '../identity/trust-follower.ts';
import type { ProcessPorts } from '../mesh-sidecar.ts';
import type { PeerCredentials } from '../net/peer-credentials.ts';
import { WireDoor } from '../wire/door.ts';
import { XdsClient } from '../xds/client.ts';
import { identify, jwtAuthority } from './authority.ts';
import { ownAnchors } from './bundles.ts';
import { UnixGrpcServer } from './grpc-server.ts';
import { HandedOutIdentity, memoryState } from './handed-out.ts';
import { JwtSvids } from './jwt.ts';
import { workloadApiHandlers } from './service.ts';

export interface AgentConfig {
  readonly socket: string;
  /** host:port */
  readonly controlPlane: string;
  readonly serverName: string | undefined;
  readonly trustFile: string;
  readonly joinToken: Secret<string> | undefined;
  /** Undefined: what is known ends with the process. */
  readonly stateDir: string | undefined;
  readonly allowUids: readonly number[];
}

export interface Agent {
  readonly spiffeId: SpiffeId;
  close(): void;
}

/** What the control plane calls itself, whatever address it is reached by. */
const SERVER_NAME = 'weft-control-plane.weft-system.svc';

export async function startAgent(config: AgentConfig, ports: ProcessPorts): Promise<Result<Agent, string>> {
  const { clock, prng, log } = ports;
  const state = config.stateDir === undefined ? ok(memoryState()) : StateDir.open(config.stateDir, true);
  if (!state.ok) return state;
  const host = config.controlPlane.slice(0, config.controlPlane.lastIndexOf(':')).replace(/^\[(.*)\]$/, '$1');
  const serverName = config.serverName ?? (isIP(host) === 0 ? undefined : SERVER_NAME);
  const door = new WireDoor(clock);
  let own: IdentityManager | undefined;
  const channel = new ControlChannel({
    target: config.controlPlane,
    trustFile: config.trustFile,
    tokenFile: '',
    credential: () => credentialOf(own, config, clock.unixMs()),
    moreTrustPem: () => (own?.material === undefined ? undefined : ownAnchors(own.material)),
    ...(serverName === undefined ? {} : { serverName }),
    clock,
    wire: door.wire,
  });
  const known = knownIdentity(state.value, clock.unixMs());
  const spiffeId = known === undefined ? await askedIdentity(channel, config) : ok(known);
  if (!spiffeId.ok) {
    channel.close();
    return spiffeId;
  }
  const counts = (): void => {};
  const sign = (csr: Uint8Array) => channel.sign(csr);
  const shared = { spiffeId: spiffeId.value, sign, clock, prng, log, count: counts };
  own = new IdentityManager({ ...shared, state: state.value });
  const handedOut = new HandedOutIdentity(shared);
  const first = new Promise<void>((resolve) => own?.onChange(() => resolve()));
  const joined = own.own() !== undefined;
  own.start();
  if (!joined) await first;
  const jwt = new JwtSvids(jwtAuthority(channel), spiffeId.value, clock);
  const trust = trustStream(spiffeId.value, channel, state.value, door, ports);
  for (const holder of [own, handedOut.manager]) {
    followTrust(trust.source, spiffeId.value, holder);
    trust.onConnected(() => holder.retrySoon());
  }
  trust.start();
  const uids = new Set(config.allowUids);
  const isAllowed = ({ uid }: PeerCredentials): boolean => uids.has(uid);
  const server = new UnixGrpcServer({
    path: config.socket,
    // The kernel's word on who calls decides, not the mode.
    mode: uids.size === 1 && uids.has(process.getuid?.() ?? -1) ? 0o600 : 0o666,
    handlers: workloadApiHandlers({
      spiffeId: spiffeId.value,
      handedOut,
      jwt,
      clock,
      isAllowed,
      log,
      count: counts,
    }),
    isAllowed,
    clock,
    log,
    count: counts,
  });
  const closing = (): void => {
    trust.close();
    server.close();
    jwt.close();
    handedOut.close();
    own?.close();
    channel.close();
  };
  const listening = await server.listen();
  if (!listening.ok) {
    closing();
    return listening;
  }
  return ok({ spiffeId: spiffeId.value, close: closing });
}

/** Whom to believe, as every sidecar is told it: as it changes, acknowledged, and kept over a restart. */
function trustStream(
  spiffeId: SpiffeId,
  channel: ControlChannel,
  state: StateDir,
  door: WireDoor,
  ports: ProcessPorts,
): XdsClient {
  const { log } = ports;
  return new XdsClient({
    ...ports,
    open: (listener) => channel.openDiscovery(listener),
    wire: door.wire,
    nodeId: `agent~${spiffeId}`,
    count: () => {},
    listeners: [],
    secrets: TRUST_SECRETS,
    waitersMax: 1,
    namesMax: 1,
    store: {
      load: () => state.read('snapshot.bin'),
      save: (bytes) => {
        const failure = state.write('snapshot.bin', bytes);
        if (failure !== undefined) log(`xds: ${failure}`);
      },
    },
  });
}

/** The certificate as long as there is one; the token is for the first. */
function credentialOf(own: IdentityManager | undefined, config: AgentConfig, nowUnixMs: number): ChannelCredential {
  const material = own?.material;
  if (material !== undefined && material.notAfterUnixMs > nowUnixMs) {
    const keyPem = material.key.export({ type: 'pkcs8', format: 'pem' }).toString();
    return { client: { certPem: material.chainPem, keyPem } };
  }
  return config.joinToken === undefined ? {} : { authorization: `Join ${config.joinToken.reveal()}` };
}

function knownIdentity(state: StateDir, nowUnixMs: number): SpiffeId | undefined {
  const chain = state.read('chain.pem');
  if (chain === undefined) return undefined;
  try {
    const leaf = new X509Certificate(chain);
    const id = parseSpiffeId((leaf.subjectAltName ?? '').replace(/^URI:/, ''));
    return id.ok && leaf.validToDate.getTime() > nowUnixMs ? id.value : undefined;
  } catch {
    return undefined;
  }
}

async function askedIdentity(channel: ControlChannel, config: AgentConfig): Promise<Result<SpiffeId, string>> {
  if (config.joinToken === undefined) {
    const where =
      config.stateDir === undefined ? 'no --state is given' : `${config.stateDir} holds no valid certificate`;
    return err(`${where} and no join token; make one with "weft token create"`);
  }
  try {
    const id = parseSpiffeId(await identify(channel));
    return id.ok ? id : err(`the control plane names an identity that is none: ${id.error}`);
  } catch (error) {
    return err(`joining through ${config.controlPlane} failed: ${errorText(error)}`);
  }
}
