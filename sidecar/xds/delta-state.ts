import { create } from '@bufbuild/protobuf';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import {
  type DeltaDiscoveryRequest,
  DeltaDiscoveryRequestSchema,
  type DeltaDiscoveryResponse,
} from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';

/** google.rpc.Code.INVALID_ARGUMENT, what Envoy puts into a NACK. */
const INVALID_ARGUMENT = 3;
const NACK_MESSAGE_LENGTH_MAX = 4_000;

/** One resource as it came over the wire. */
export interface ReceivedResource {
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
}

/** What a response asks the snapshot to become, and the errors that go back. */
export interface DeltaEffect {
  readonly upserts: readonly ReceivedResource[];
  readonly removals: readonly string[];
}

/**
 * The client's half of incremental xDS for one resource type: what is wanted, what the server was told, which versions
 * are held. Pure; the stream sends what `nextRequest` and `acknowledge` return.
 */
export class DeltaTypeState {
  readonly kind: ResourceKind;
  readonly typeUrl: string;
  private readonly wanted = new Set<string>();
  /** Names that this stream's server knows to be subscribed. */
  private told = new Set<string>();
  private readonly versions = new Map<string, string>();
  private streamBegun = false;

  constructor(kind: ResourceKind, typeUrl: string) {
    this.kind = kind;
    this.typeUrl = typeUrl;
  }

  subscribe(name: string): boolean {
    if (this.wanted.has(name)) return false;
    this.wanted.add(name);
    return true;
  }

  unsubscribe(name: string): void {
    this.wanted.delete(name);
    this.versions.delete(name);
  }

  has(name: string): boolean {
    return this.wanted.has(name);
  }

  get size(): number {
    return this.wanted.size;
  }

  names(): IterableIterator<string> {
    return this.wanted.values();
  }

  /** A stream knows nothing of the one before it. */
  restart(): void {
    this.told = new Set();
    this.streamBegun = false;
  }

  /** Subscriptions that the server has not been told of; undefined when there are none. */
  nextRequest(): DeltaDiscoveryRequest | undefined {
    const subscribe = [...this.wanted].filter((name) => !this.told.has(name));
    const unsubscribe = [...this.told].filter((name) => !this.wanted.has(name));
    if (subscribe.length === 0 && unsubscribe.length === 0) return undefined;
    const request = create(DeltaDiscoveryRequestSchema, {
      typeUrl: this.typeUrl,
      resourceNamesSubscribe: subscribe,
      resourceNamesUnsubscribe: unsubscribe,
    });
    if (!this.streamBegun) {
      // Only what is still wanted: the server sends what differs, and removals of what is gone.
      for (const [name, version] of this.versions) request.initialResourceVersions[name] = version;
      this.streamBegun = true;
    }
    for (const name of subscribe) this.told.add(name);
    for (const name of unsubscribe) this.told.delete(name);
    return request;
  }

  /** Leaves out what nobody wants any more: its subscription may have crossed the response. */
  receive(response: DeltaDiscoveryResponse): DeltaEffect {
    const upserts: ReceivedResource[] = [];
    for (const resource of response.resources) {
      if (!this.wanted.has(resource.name)) continue;
      upserts.push({
        name: resource.name,
        version: resource.version,
        bytes: resource.resource?.value ?? new Uint8Array(),
      });
    }
    return { upserts, removals: response.removedResources.filter((name) => this.wanted.has(name)) };
  }

  /** Records what was applied; a rejected resource keeps its old version, so that a new stream gets it again. */
  applied(accepted: readonly ReceivedResource[], removed: readonly string[]): void {
    for (const resource of accepted) this.versions.set(resource.name, resource.version);
    for (const name of removed) this.versions.delete(name);
  }

  acknowledge(nonce: string, errors: readonly string[]): DeltaDiscoveryRequest {
    const request = create(DeltaDiscoveryRequestSchema, { typeUrl: this.typeUrl, responseNonce: nonce });
    if (errors.length > 0) {
      request.errorDetail = {
        $typeName: 'google.rpc.Status',
        code: INVALID_ARGUMENT,
        message: errors.join('; ').slice(0, NACK_MESSAGE_LENGTH_MAX),
        details: [],
      };
    }
    return request;
  }
}
