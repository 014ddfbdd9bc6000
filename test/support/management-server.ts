/** A server of endpoints by xDS, as others write them: the four ways in which it may be asked, on grpc-js. */
import { create, toBinary } from '@bufbuild/protobuf';
import { type Any, AnySchema } from '@bufbuild/protobuf/wkt';
import { type Metadata, Server, ServerCredentials, type ServerDuplexStream } from '@grpc/grpc-js';
import { plainEndpoint } from '@weft/policies/model/cluster';
import { encodeEndpoints } from '@weft/policies/wire/endpoints';
import type { Node } from '@weft/policies/wire/gen/envoy/config/core/v3/base_pb';
import { ClusterLoadAssignmentSchema } from '@weft/policies/wire/gen/envoy/config/endpoint/v3/endpoint_pb';
import {
  type DeltaDiscoveryRequest,
  type DeltaDiscoveryResponse,
  DeltaDiscoveryResponseSchema,
  type DiscoveryRequest,
  type DiscoveryResponse,
  DiscoveryResponseSchema,
} from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';
import { aggregatedDiscovery } from '@weft/policies/wire/grpc';
import { methodPaths } from '@weft/policies/wire/method-paths';
import { typeUrls } from '@weft/policies/wire/type-urls';
import type { At } from './pair-bootstrap.ts';

const { StreamAggregatedResources, DeltaAggregatedResources } = aggregatedDiscovery;
const aggregated = { StreamAggregatedResources, DeltaAggregatedResources };
const endpoints = {
  StreamEndpoints: { ...StreamAggregatedResources, path: methodPaths.streamEndpoints },
  DeltaEndpoints: { ...DeltaAggregatedResources, path: methodPaths.deltaEndpoints },
};

interface Resource {
  readonly version: string;
  /** Absent: there is none any more, which servers of increments say. */
  readonly any?: Any;
}

export interface Asked {
  readonly path: string;
  /** Of the first request of a stream at least. */
  readonly node: Node | undefined;
  readonly metadata: Metadata;
  /** Of the response that is answered; empty: of none. */
  readonly nonce: string;
  readonly refusal: string;
  readonly heldVersions: Readonly<Record<string, string>>;
}

type StateStream = ServerDuplexStream<DiscoveryRequest, DiscoveryResponse>;
type DeltaStream = ServerDuplexStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse>;

export class ManagementServer {
  readonly asked: Asked[] = [];
  port = 0;
  private readonly credentials: ServerCredentials;
  private readonly resources = new Map<string, Resource>();
  private readonly pushes = new Set<() => void>();
  private server = new Server();
  private versions = 0;

  private constructor(credentials: ServerCredentials) {
    this.credentials = credentials;
  }

  static async start(credentials = ServerCredentials.createInsecure()): Promise<ManagementServer> {
    const server = new ManagementServer(credentials);
    await server.listen();
    return server;
  }

  /** On the same port, if it has been there before. */
  async listen(): Promise<void> {
    this.server = new Server();
    this.server.addService(aggregated, {
      StreamAggregatedResources: (stream: StateStream) => this.state(stream),
      DeltaAggregatedResources: (stream: DeltaStream) => this.delta(stream),
    });
    this.server.addService(endpoints, {
      StreamEndpoints: (stream: StateStream) => this.state(stream),
      DeltaEndpoints: (stream: DeltaStream) => this.delta(stream),
    });
    this.port = await new Promise<number>((resolve, reject) => {
      const bound = (error: Error | null, port: number): void => (error === null ? resolve(port) : reject(error));
      this.server.bindAsync(`127.0.0.1:${this.port}`, this.credentials, bound);
    });
  }

  /** Ends all streams. */
  close(): void {
    this.pushes.clear();
    this.server.forceShutdown();
  }

  set(name: string, ...at: readonly At[]): void {
    const assignment = { clusterName: name, endpoints: at.map(plainEndpoint) };
    const message = create(ClusterLoadAssignmentSchema, encodeEndpoints(assignment));
    this.setBytes(name, toBinary(ClusterLoadAssignmentSchema, message));
  }

  setBytes(name: string, value: Uint8Array): void {
    this.put(name, { any: create(AnySchema, { typeUrl: typeUrls.endpoints, value }) });
  }

  /** Returns the nonce with which servers of increments say so. */
  remove(name: string): string {
    return this.put(name, {});
  }

  private put(name: string, resource: Omit<Resource, 'version'>): string {
    const version = String(++this.versions);
    this.resources.set(name, { ...resource, version });
    for (const push of this.pushes) push();
    return version;
  }

  private state(stream: StateStream): void {
    let names: readonly string[] = [];
    let sent = '';
    const push = (): void => {
      const found = names.flatMap((name) => this.resources.get(name) ?? []);
      const versionInfo = found.map(({ version }) => version).join('+');
      if (found.length === 0 || versionInfo === sent) return;
      sent = versionInfo;
      const resources = found.flatMap(({ any }) => any ?? []);
      stream.write(
        create(DiscoveryResponseSchema, {
          typeUrl: typeUrls.endpoints,
          versionInfo,
          nonce: `n${versionInfo}`,
          resources,
        }),
      );
    };
    this.follow(stream, push);
    stream.on('data', (request: DiscoveryRequest) => {
      this.note(stream, request);
      if (request.typeUrl !== typeUrls.endpoints) return;
      names = request.resourceNames;
      push();
    });
  }

  private delta(stream: DeltaStream): void {
    const sent = new Map<string, string>();
    const push = (): void => {
      const fresh = [...sent].flatMap(([name, before]) => {
        const found = this.resources.get(name);
        if (found === undefined || found.version === before) return [];
        sent.set(name, found.version);
        return [{ name, ...found }];
      });
      if (fresh.length === 0) return;
      const nonce = fresh.map(({ version }) => version).join('+');
      const resources = fresh.flatMap(({ name, version, any: resource }) =>
        resource === undefined ? [] : [{ name, version, resource }],
      );
      const removedResources = fresh.flatMap(({ name, any }) => (any === undefined ? [name] : []));
      stream.write(
        create(DeltaDiscoveryResponseSchema, { typeUrl: typeUrls.endpoints, nonce, resources, removedResources }),
      );
    };
    this.follow(stream, push);
    stream.on('data', (request: DeltaDiscoveryRequest) => {
      this.note(stream, request);
      if (request.typeUrl !== typeUrls.endpoints) return;
      for (const name of request.resourceNamesSubscribe) sent.set(name, '');
      for (const name of request.resourceNamesUnsubscribe) sent.delete(name);
      push();
    });
  }

  private note(stream: StateStream | DeltaStream, request: DiscoveryRequest | DeltaDiscoveryRequest): void {
    const { node, responseNonce: nonce, errorDetail } = request;
    this.asked.push({
      path: stream.getPath(),
      node,
      metadata: stream.metadata,
      nonce,
      refusal: errorDetail?.message ?? '',
      heldVersions: 'initialResourceVersions' in request ? request.initialResourceVersions : {},
    });
  }

  private follow(stream: StateStream | DeltaStream, push: () => void): void {
    this.pushes.add(push);
    stream.on('error', () => undefined);
    stream.on('close', () => this.pushes.delete(push));
    stream.on('end', () => {
      this.pushes.delete(push);
      stream.end();
    });
  }
}
