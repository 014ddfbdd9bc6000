import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { EndpointAssignment } from '@weft/policies/model/cluster';
import type { ManagementServer } from '@weft/policies/model/management-server';
import { methodPaths } from '@weft/policies/wire/method-paths';
import type { Method } from '../grpc/call.ts';
import { GrpcChannel } from '../grpc/channel.ts';
import type { Dial } from '../net/connection.ts';
import { WireDoor } from '../wire/door.ts';
import { type AdsListener, type AdsStream, type Replicas, XdsClient } from '../xds/client.ts';
import type { DeltaNode, DeltaRequest, DeltaResponse, StateRequest, StateResponse } from '../xds/messages.ts';
import { StateStream } from '../xds/state-stream.ts';
import type { Change } from '../xds/table-source.ts';
import { FirstAnswers } from './first-answers.ts';
import type { Bootstrap } from './load.ts';
import { viaCluster } from './management-via.ts';

export interface EndpointServerPorts {
  readonly dial: Dial;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (line: string) => void;
  readonly count: (event: string) => void;
}

/** Nobody waits for a name: what is not known when the listeners open has no endpoints until it is. */
const WAITERS_MAX = 0;

/** The endpoints of clusters whose bootstrap names a server for them; a client each, which keeps asking. */
export class EndpointServers {
  private readonly ports: EndpointServerPorts;
  private readonly bootstrap: Pick<Bootstrap, 'clusters' | 'node'>;
  private readonly door: WireDoor;
  private readonly services = new Map<ManagementServer, Set<string>>();
  private readonly known = new Map<string, EndpointAssignment>();
  private readonly firstAnswers: FirstAnswers;
  private readonly clients: XdsClient[] = [];
  private readonly channels: GrpcChannel[] = [];

  constructor(bootstrap: Pick<Bootstrap, 'clusters' | 'node'>, ports: EndpointServerPorts) {
    this.ports = ports;
    this.bootstrap = bootstrap;
    this.door = new WireDoor(ports.clock);
    this.firstAnswers = new FirstAnswers({ clock: ports.clock, onOverdue: (names) => this.overdue(names) });
    const byKey = new Map<string, ManagementServer>();
    for (const { discovery } of bootstrap.clusters) {
      if (discovery.kind !== 'eds' || discovery.source?.kind !== 'server') continue;
      const key = JSON.stringify(discovery.source.server);
      const server = byKey.get(key) ?? discovery.source.server;
      byKey.set(key, server);
      const names = this.services.get(server) ?? new Set();
      this.services.set(server, names.add(discovery.serviceName));
      this.firstAnswers.expect(discovery.serviceName, discovery.source.fetchTimeoutMs);
    }
  }

  assignments(): readonly EndpointAssignment[] {
    return [...this.known.values()];
  }

  /** Resolves when all were answered for the first time, or have been waited for long enough. */
  follow(replicas: Replicas): Promise<void> {
    const over = this.firstAnswers.wait();
    for (const [server, names] of this.services) this.ask(server, names, replicas);
    return over;
  }

  /** Nobody waits any more either. */
  close(): void {
    this.firstAnswers.close();
    for (const client of this.clients) client.close();
    for (const channel of this.channels) channel.close();
    this.door.letGo();
  }

  private ask(server: ManagementServer, names: ReadonlySet<string>, replicas: Replicas): void {
    const { clock, prng, log, count, dial } = this.ports;
    const cluster = this.bootstrap.clusters.find(({ name }) => name === server.cluster);
    // The references of a bootstrap are checked when it is read.
    if (cluster === undefined) throw new Error(`there is no cluster "${server.cluster}"`);
    const channel = new GrpcChannel({ via: viaCluster(cluster, server.authority, dial), clock });
    const client = new XdsClient({
      open: (listener) => openStream(channel, server, this.door, listener),
      wire: this.door.wire,
      nodeId: this.bootstrap.node.id,
      nodeDetails: this.bootstrap.node,
      clock,
      prng,
      log,
      count,
      listeners: [],
      waitersMax: WAITERS_MAX,
      namesMax: 1,
      store: undefined,
      // An answer too: as with Envoy the listeners wait no longer for what it was to say.
      onRefused: () => this.firstAnswers.answered(names),
      onRemoved: (removed) => this.keep(removed),
      replicas: {
        publish: (changes) => this.take(changes, replicas),
        whenApplied: (done) => replicas.whenApplied(done),
      },
    });
    this.channels.push(channel);
    this.clients.push(client);
    for (const name of names) client.source.lookup('endpoints', name);
    client.start();
  }

  private take(changes: readonly Change[], replicas: Replicas): void {
    const mine = changes.filter((change) => change.kind === 'endpoints');
    for (const { name, entry } of mine) {
      if (entry !== undefined && 'value' in entry) this.known.set(name, entry.value);
      // What a thread refused is undone, and there was nothing before.
      else this.known.delete(name);
    }
    replicas.publish(mine);
    this.firstAnswers.answered(mine.map(({ name }) => name));
  }

  /** As Envoy: endpoints hold until there are others, also where the server says that there are none any more. */
  private keep(names: readonly string[]): void {
    for (const name of names) {
      const held = this.known.has(name) ? 'the last ones hold' : 'there are none until it has some';
      this.ports.log(`endpoints of ${name}: the server has none; ${held}`);
      this.ports.count('eds.update_empty');
    }
    this.firstAnswers.answered(names);
  }

  private overdue(names: readonly string[]): void {
    this.ports.log(`endpoints of ${names.join(', ')} are not known yet: there are none until they are`);
    for (const _ of names) this.ports.count('eds.initial_fetch_timeout');
  }
}

type Asking<Request> = readonly [request: Request, node: DeltaNode | undefined];

function openStream(channel: GrpcChannel, server: ManagementServer, door: WireDoor, listener: AdsListener): AdsStream {
  const { aggregated, metadata, variant } = server;
  const open = <Request, Response>(
    method: Method<Asking<Request>, Response>,
    onMessage: (response: Response) => void,
  ) => {
    const call = channel.call(
      method,
      { metadata, timeoutMs: 0 },
      {
        onAccepted: () => listener.onAccepted(),
        onMessage,
        onEnd: ({ code, message }) =>
          listener.onLost(code === 0 ? 'ended by the server' : `gRPC status ${code}: ${message}`),
      },
    );
    return {
      send: (request: Request, node: DeltaNode | undefined): void => call.send([request, node]),
      cancel: (): void => call.cancel(),
    };
  };
  if (variant === 'incremental') {
    const method: Method<Asking<DeltaRequest>, DeltaResponse> = {
      path: aggregated ? methodPaths.deltaAggregatedResources : methodPaths.deltaEndpoints,
      requestSerialize: ([request, node]) => door.wire().encodeRequest(request, node),
      responseDeserialize: (bytes) => door.wire().decodeResponse(bytes),
    };
    return open(method, (response) => listener.onMessage(response));
  }
  const method: Method<Asking<StateRequest>, StateResponse> = {
    path: aggregated ? methodPaths.streamAggregatedResources : methodPaths.streamEndpoints,
    requestSerialize: ([request, node]) => door.wire().encodeStateRequest(request, node),
    responseDeserialize: (bytes) => door.wire().decodeStateResponse(bytes),
  };
  return new StateStream((onResponse) => open(method, onResponse), listener);
}
