/** ADS: a stream is let in by its credential, learns from its first request which pod it is, and then runs. */
import { Metadata, type ServerDuplexStream } from '@grpc/grpc-js';
import { errorText } from '@weft/policies/kit/error-text';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type {
  DeltaDiscoveryRequest,
  DiscoveryRequest,
} from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';
import type { Authenticator, AuthFailure, Caller } from '../auth/caller.ts';
import { awaitWorkload, isAgentNode, type Standing } from '../auth/workload.ts';
import { callerFields } from '../ca/audit.ts';
import type { Pod } from '../index/core.ts';
import { objectKey } from '../index/objects.ts';
import type { ClusterState } from '../index/state.ts';
import type { XdsClient } from '../xds/cache.ts';
import { DeltaStream } from '../xds/delta.ts';
import type { XdsHub } from '../xds/hub.ts';
import { SotwStream } from '../xds/sotw.ts';
import type { StreamSink } from '../xds/stream.ts';
import { authenticateCall } from './authenticate.ts';
import { rpcError } from './errors.ts';
import type { Refusals } from './refusals.ts';

export interface DiscoveryParts {
  readonly hub: XdsHub;
  readonly state: ClusterState;
  readonly authenticator: Authenticator;
  /** Whether whoever comes without a pod is a process that joined, and still is. */
  readonly checkCaller: (caller: Caller) => Promise<Result<Standing, AuthFailure>>;
  readonly refusals: Refusals;
}

type DiscoveryCall<Request> = ServerDuplexStream<Request, Buffer>;
type NodeOf = DiscoveryRequest['node'];

interface RunningStream<Request> {
  receive(request: Request): void;
  drained(): void;
  close(): void;
}

type Open<Request> = (client: XdsClient, nodeId: string, sink: StreamSink) => RunningStream<Request>;

export function discoveryHandlers(parts: DiscoveryParts) {
  return {
    StreamAggregatedResources: (call: DiscoveryCall<DiscoveryRequest>): void =>
      void serve(parts, call, (client, nodeId, sink) => new SotwStream(parts.hub, client, nodeId, sink)),
    DeltaAggregatedResources: (call: DiscoveryCall<DeltaDiscoveryRequest>): void =>
      void serve(parts, call, (client, nodeId, sink) => new DeltaStream(parts.hub, client, nodeId, sink)),
  };
}

type Failure = Parameters<typeof rpcError>[0];
type Refuse = (failure: Failure) => void;

async function serve<Request extends { readonly node?: NodeOf }>(
  parts: DiscoveryParts,
  call: DiscoveryCall<Request>,
  open: Open<Request>,
): Promise<void> {
  let known: Caller | undefined;
  const refuse: Refuse = ({ code, message }) => {
    const fields = { ...callerFields(known), peer: call.getPeer(), code, reason: message };
    parts.refusals.tell('xds stream refused', known === undefined ? 'stranger' : 'caller', fields);
    call.emit('error', rpcError({ code, message }));
  };
  // Without a listener a stream that breaks early would take the process with it.
  call.on('error', () => undefined);
  // A bug met by what a stranger sends must not end the process.
  const caller = await admit(parts, call).catch((fault: unknown) =>
    err<Failure>({ code: 'internal', message: errorText(fault) }),
  );
  if (call.cancelled) return;
  if (!caller.ok) {
    refuse(caller.error);
    return;
  }
  known = caller.value;
  follow(parts, call, known, open, refuse);
}

async function admit(
  { hub, authenticator }: DiscoveryParts,
  call: DiscoveryCall<never> | DiscoveryCall<unknown>,
): Promise<Result<Caller, Failure>> {
  if (hub.streams.size < hub.limits.streamsMax) return authenticateCall(authenticator, call);
  hub.counters.streamsRefused += 1;
  return err({ code: 'resource-exhausted', message: `this replica serves ${hub.limits.streamsMax} streams already` });
}

/** Its first request tells which pod the stream is for; then it runs until one end goes. */
function follow<Request extends { readonly node?: NodeOf }>(
  parts: DiscoveryParts,
  call: DiscoveryCall<Request>,
  caller: Caller,
  open: Open<Request>,
  refuse: Refuse,
): void {
  const { hub } = parts;
  let ended = false;
  let stream: RunningStream<Request> | undefined;
  const silence = hub.clock.after(hub.limits.firstRequestMsMax, () => {
    hub.counters.streamsRefused += 1;
    refuse({ code: 'resource-exhausted', message: `no request within ${hub.limits.firstRequestMsMax} ms` });
  });
  const end = (): void => {
    ended = true;
    silence();
    stream?.close();
  };
  call.on('cancelled', end);
  call.on('error', end);
  call.on('end', () => {
    end();
    call.end();
  });
  call.on('drain', () => stream?.drained());
  // A bug met by what one client asks must not end the streams of all others.
  const onFault = (fault: unknown): void => refuse({ code: 'internal', message: errorText(fault) });
  const receive = (request: Request): void => {
    try {
      stream?.receive(request);
    } catch (fault) {
      onFault(fault);
    }
  };
  const queued: Request[] = [];
  const begin = (found: Result<XdsClient, Failure>): void => {
    if (ended) return;
    if (!found.ok) {
      refuse(found.error);
      return;
    }
    // Whoever has it all already hears that he was let in, and that the control plane is there.
    call.sendMetadata(new Metadata());
    stream = open(found.value, found.value.podKey, sinkOf(call, refuse));
    for (const one of queued.splice(0)) receive(one);
    call.resume();
  };
  call.on('data', (request: Request) => {
    if (stream !== undefined) {
      receive(request);
      return;
    }
    queued.push(request);
    // Further requests wait until the first one has told who asks.
    call.pause();
    if (queued.length > 1) return;
    silence();
    identify(parts, caller, request.node).then(begin, onFault);
  });
}

async function identify(parts: DiscoveryParts, caller: Caller, node: NodeOf): Promise<Result<XdsClient, Failure>> {
  const { hub, state } = parts;
  if (node === undefined)
    return err({ code: 'permission-denied', message: 'the first request of a stream must carry node' });
  const found = isAgentNode(node.id)
    ? await agentOf(parts, caller)
    : await awaitWorkload(state, hub.clock, caller, node.id);
  if (!found.ok) return found;
  const client = 'podKey' in found.value ? found.value : clientOf(found.value, node);
  const { streamsPerWorkloadMax } = hub.limits;
  if (hub.streamsOf(client.podKey) < streamsPerWorkloadMax) return ok(client);
  hub.counters.streamsRefused += 1;
  return err({ code: 'resource-exhausted', message: `${client.podKey} has ${streamsPerWorkloadMax} streams already` });
}

/** A process that joined by token; its key says which one, of several of an account. */
async function agentOf({ checkCaller }: DiscoveryParts, caller: Caller): Promise<Result<XdsClient, Failure>> {
  const standing = await checkCaller(caller);
  if (!standing.ok) return standing;
  const { namespace, serviceAccount } = caller.identity;
  if (standing.value.as !== 'joined' || caller.keyDigest === undefined)
    return err({ code: 'permission-denied', message: 'the credential is of a pod, which asks for its own resources' });
  const podKey = `${namespace}/agent~${serviceAccount}~${caller.keyDigest.slice(0, 12)}`;
  return ok({ namespace, podKey, features: { http2: true, locality: true }, trustAlone: true });
}

function clientOf(pod: Pod, node: NodeOf): XdsClient {
  const has = (feature: string): boolean => node?.clientFeatures.includes(feature) ?? false;
  return {
    namespace: pod.metadata.namespace,
    podKey: objectKey(pod.metadata),
    features: { http2: has('weft.http2'), locality: has('weft.locality'), connect: has('weft.connect') },
  };
}

const sinkOf = (call: DiscoveryCall<never> | DiscoveryCall<unknown>, refuse: Refuse): StreamSink => ({
  write: (message) => call.write(message),
  fail: (code, message) => refuse({ code, message }),
});
