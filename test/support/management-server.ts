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
  readonly any: Any;
}

export interface Asked {
  readonly path: string;
  /** Of the first request of a stream at least. */
  readonly node: Node | undefined;
  readonly metadata: Metadata;
  readonly refusal: string;
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
    const any = create(AnySchema, { typeUrl: typeUrls.endpoints, value });
    this.resources.set(name, { version: String(++this.versions), any });
    for (const push of this.pushes) push();
  }

  private state(stream: StateStream): void {
    let names: readonly string[] = [];
    let sent = '';
    const push = (): void => {
      const found = names.flatMap((name) => this.resources.get(name) ?? []);
      const versionInfo = found.map(({ version }) => version).join('+');
      if (found.length === 0 || versionInfo === sent) return;
      sent = versionInfo;
      const resources = found.map(({ any }) => any);
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
    stream.on('data', ({ typeUrl, node, resourceNames, errorDetail }: DiscoveryRequest) => {
      this.note(stream, node, errorDetail?.message);
      if (typeUrl !== typeUrls.endpoints) return;
      names = resourceNames;
      push();
    });
  }

  private delta(stream: DeltaStream): void {
    const sent = new Map<string, string>();
    const push = (): void => {
      const resources = [...sent].flatMap(([name, before]) => {
        const found = this.resources.get(name);
        if (found === undefined || found.version === before) return [];
        sent.set(name, found.version);
        return [{ name, version: found.version, resource: found.any }];
      });
      if (resources.length === 0) return;
      const nonce = resources.map(({ version }) => version).join('+');
      stream.write(create(DeltaDiscoveryResponseSchema, { typeUrl: typeUrls.endpoints, nonce, resources }));
    };
    this.follow(stream, push);
    stream.on('data', (request: DeltaDiscoveryRequest) => {
      this.note(stream, request.node, request.errorDetail?.message);
      if (request.typeUrl !== typeUrls.endpoints) return;
      for (const name of request.resourceNamesSubscribe) sent.set(name, '');
      for (const name of request.resourceNamesUnsubscribe) sent.delete(name);
      push();
    });
  }

  private note(stream: StateStream | DeltaStream, node: Node | undefined, refusal = ''): void {
    this.asked.push({ path: stream.getPath(), node, metadata: stream.metadata, refusal });
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
