/** A client of the discovery service that does what a test tells it and nothing else. */
import { create, type MessageInitShape } from '@bufbuild/protobuf';
import { type ClientDuplexStream, type ServiceError, status } from '@grpc/grpc-js';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import { NodeSchema } from '@weft/policies/wire/gen/envoy/config/core/v3/base_pb';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
  type DiscoveryRequest,
  DiscoveryRequestSchema,
  type DiscoveryResponse,
} from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';
import { aggregatedDiscovery } from '@weft/policies/wire/grpc';
import { type DecodedResource, decodeResource } from '@weft/policies/wire/resource';
import { typeUrls } from '@weft/policies/wire/type-urls';
import { type ClientIdentity, rpcClient, type ServerSide } from './harness.ts';

const waitMsMax = 5_000;

class MessageStream<Request, Response> {
  readonly received: Response[] = [];
  /** The server has let the stream in. */
  accepted = false;
  ended: { readonly code: string; readonly details: string } | undefined;
  private readonly call: ClientDuplexStream<Request, Response>;
  private readonly closeClient: () => void;
  private wake: (() => void) | undefined;
  private taken = 0;

  constructor(call: ClientDuplexStream<Request, Response>, closeClient: () => void) {
    this.call = call;
    this.closeClient = closeClient;
    call.on('metadata', () => {
      this.accepted = true;
      this.wake?.();
    });
    call.on('data', (response: Response) => {
      this.received.push(response);
      this.wake?.();
    });
    call.on('error', (error: ServiceError) => {
      this.ended = { code: status[error.code] ?? String(error.code), details: error.details };
      this.wake?.();
    });
    call.on('end', () => this.wake?.());
  }

  write(request: Request): void {
    this.call.write(request);
  }

  /** The next response, in order. */
  async next(): Promise<Response> {
    const response = await this.within(() => this.received[this.taken]);
    this.taken += 1;
    return response;
  }

  async whenAccepted(): Promise<true> {
    return this.within(() => this.accepted || undefined);
  }

  async end(): Promise<{ readonly code: string; readonly details: string }> {
    return this.within(() => this.ended);
  }

  /** True when nothing more has come for a moment that is long against the debounce of the server. */
  async quiet(ms = 150): Promise<boolean> {
    await new Promise((resolve) => setTimeout(resolve, ms));
    return this.received.length === this.taken && this.ended === undefined;
  }

  close(): void {
    this.call.cancel();
    this.closeClient();
  }

  private async within<T>(look: () => T | undefined): Promise<T> {
    const untilMs = Date.now() + waitMsMax;
    for (;;) {
      const found = look();
      if (found !== undefined) return found;
      const leftMs = untilMs - Date.now();
      if (leftMs <= 0)
        throw new Error(`nothing came within ${waitMsMax} ms; the stream ended: ${JSON.stringify(this.ended)}`);
      await new Promise<void>((resolve) => {
        const timer = setTimeout(resolve, leftMs);
        this.wake = () => {
          clearTimeout(timer);
          resolve();
        };
      });
    }
  }
}

export interface TestNode {
  readonly pod: string;
  readonly namespace: string;
  readonly features?: readonly string[];
  /** In the place of that of the pod's sidecar. */
  readonly id?: string;
}

const nodeOf = ({ pod, namespace, features = [], id }: TestNode) =>
  create(NodeSchema, {
    id: id ?? `sidecar~10.0.0.1~${pod}.${namespace}~cluster.local`,
    clientFeatures: [...features],
  });

export class DeltaClient extends MessageStream<DeltaDiscoveryRequest, DeltaDiscoveryResponse> {
  private node: TestNode | undefined;

  static open(harness: ServerSide, identity: ClientIdentity, node: TestNode): DeltaClient {
    const { client, metadata } = rpcClient(harness, identity);
    const { path, requestSerialize, responseDeserialize } = aggregatedDiscovery.DeltaAggregatedResources;
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    const opened = new DeltaClient(call, () => client.close());
    opened.node = node;
    return opened;
  }

  send(kind: ResourceKind, request: MessageInitShape<typeof DeltaDiscoveryRequestSchema>): void {
    const node = this.node;
    this.node = undefined;
    const message = create(DeltaDiscoveryRequestSchema, request);
    message.typeUrl = typeUrls[kind];
    if (node !== undefined) message.node = nodeOf(node);
    this.write(message);
  }

  subscribe(kind: ResourceKind, names: readonly string[], versions: Readonly<Record<string, string>> = {}): void {
    this.send(kind, { resourceNamesSubscribe: [...names], initialResourceVersions: { ...versions } });
  }

  ack(kind: ResourceKind, response: DeltaDiscoveryResponse): void {
    this.send(kind, { responseNonce: response.nonce });
  }

  nack(kind: ResourceKind, response: DeltaDiscoveryResponse, message: string): void {
    this.send(kind, { responseNonce: response.nonce, errorDetail: { code: 3, message } });
  }
}

export class SotwClient extends MessageStream<DiscoveryRequest, DiscoveryResponse> {
  private node: TestNode | undefined;

  static open(harness: ServerSide, identity: ClientIdentity, node: TestNode): SotwClient {
    const { client, metadata } = rpcClient(harness, identity);
    const { path, requestSerialize, responseDeserialize } = aggregatedDiscovery.StreamAggregatedResources;
    const call = client.makeBidiStreamRequest(path, requestSerialize, responseDeserialize, metadata);
    const opened = new SotwClient(call, () => client.close());
    opened.node = node;
    return opened;
  }

  send(kind: ResourceKind, request: MessageInitShape<typeof DiscoveryRequestSchema>): void {
    const node = this.node;
    this.node = undefined;
    const message = create(DiscoveryRequestSchema, request);
    message.typeUrl = typeUrls[kind];
    if (node !== undefined) message.node = nodeOf(node);
    this.write(message);
  }
}

/** What a resource of a response says, as the sidecar would read it. */
export function decoded(
  resource: { readonly typeUrl: string; readonly value: Uint8Array } | undefined,
): DecodedResource {
  if (resource === undefined) throw new Error('no resource');
  const result = decodeResource(resource.typeUrl, resource.value);
  if (!result.ok) throw new Error(result.error.map((one) => `${one.path}: ${one.message}`).join('; '));
  return result.value;
}
