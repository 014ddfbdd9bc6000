/** ADS: a stream is let in by its credential, learns from its first request which pod it is, and then runs. */
import type { ServerDuplexStream } from '@grpc/grpc-js';
import { err, type Result } from '@weft/policies/kit/result';
import type {
  DeltaDiscoveryRequest,
  DiscoveryRequest,
} from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';
import type { Authenticator, AuthFailure, Caller } from '../auth/caller.ts';
import { awaitWorkload } from '../auth/workload.ts';
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

export interface DiscoveryParts {
  readonly hub: XdsHub;
  readonly state: ClusterState;
  readonly authenticator: Authenticator;
  readonly log: (event: string, fields: Readonly<Record<string, unknown>>) => void;
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

async function serve<Request extends { readonly node?: NodeOf }>(
  parts: DiscoveryParts,
  call: DiscoveryCall<Request>,
  open: Open<Request>,
): Promise<void> {
  const refuse = (failure: Parameters<typeof rpcError>[0]): void => {
    parts.log('xds stream refused', { peer: call.getPeer(), code: failure.code, reason: failure.message });
    call.emit('error', rpcError(failure));
  };
  // Without a listener a stream that breaks early would take the process with it.
  call.on('error', () => undefined);
  if (parts.hub.streams.size >= parts.hub.limits.streamsMax) {
    parts.hub.counters.streamsRefused += 1;
    refuse({
      code: 'resource-exhausted',
      message: `this replica serves ${parts.hub.limits.streamsMax} streams already`,
    });
    return;
  }
  const caller = await authenticateCall(parts.authenticator, call);
  if (!caller.ok) {
    refuse(caller.error);
    return;
  }
  let stream: RunningStream<Request> | undefined;
  let ended = false;
  const queued: Request[] = [];
  const end = (): void => {
    ended = true;
    stream?.close();
  };
  call.on('cancelled', end);
  call.on('error', end);
  call.on('end', () => {
    end();
    call.end();
  });
  call.on('drain', () => stream?.drained());
  call.on('data', (request: Request) => {
    if (stream !== undefined) {
      stream.receive(request);
      return;
    }
    queued.push(request);
    // Further requests wait until the first one has told who asks.
    call.pause();
    void identify(parts, caller.value, request.node).then((found) => {
      if (ended) return;
      if (!found.ok) {
        refuse(found.error);
        return;
      }
      stream = open(clientOf(found.value, request.node), objectKey(found.value.metadata), sinkOf(call, refuse));
      for (const one of queued) stream.receive(one);
      call.resume();
    });
  });
}

async function identify(parts: DiscoveryParts, caller: Caller, node: NodeOf): Promise<Result<Pod, AuthFailure>> {
  if (node === undefined)
    return err({ code: 'permission-denied', message: 'the first request of a stream must carry node' });
  return awaitWorkload(parts.state, parts.hub.clock, caller, node.id);
}

function clientOf(pod: Pod, node: NodeOf): XdsClient {
  const has = (feature: string): boolean => node?.clientFeatures.includes(feature) ?? false;
  return {
    namespace: pod.metadata.namespace,
    podKey: objectKey(pod.metadata),
    features: { http2: has('weft.http2') },
  };
}

const sinkOf = (
  call: DiscoveryCall<never> | DiscoveryCall<unknown>,
  refuse: (failure: Parameters<typeof rpcError>[0]) => void,
): StreamSink => ({
  write: (message) => call.write(message),
  fail: (code, message) => refuse({ code, message }),
});
