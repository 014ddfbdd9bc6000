/** The messages of incremental xDS as plain data: the client knows nothing of how they are encoded. */
import type { ProxyNode } from '@weft/policies/model/proxy-node';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import type { Change } from './table-source.ts';

/** One resource as it came over the wire. */
export interface ReceivedResource {
  readonly name: string;
  readonly version: string;
  readonly bytes: Uint8Array;
}

export interface DeltaRequest {
  readonly typeUrl: string;
  readonly subscribe: readonly string[];
  readonly unsubscribe: readonly string[];
  /** Of the first request of a type on a stream: versions by name of what is held. */
  readonly heldVersions: Readonly<Record<string, string>>;
  /** Of the response that is answered; empty: of none. */
  readonly nonce: string;
  /** Why that response is refused; empty: it is not. */
  readonly refusal: string;
}

/** Who asks; in the first request of a stream. */
export interface DeltaNode extends ProxyNode {
  readonly clientFeatures: readonly string[];
}

export interface DeltaResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly resources: readonly ReceivedResource[];
  readonly removed: readonly string[];
}

/** The same questions to a server that knows no increments: every request has all names, and what was accepted last. */
export interface StateRequest {
  readonly typeUrl: string;
  readonly names: readonly string[];
  readonly version: string;
  readonly nonce: string;
  readonly refusal: string;
}

export interface StateResponse {
  readonly typeUrl: string;
  readonly nonce: string;
  readonly version: string;
  readonly resources: readonly ReceivedResource[];
}

/** What a response asks the snapshot to become, and the errors that go back. */
export interface DeltaEffect {
  readonly upserts: readonly ReceivedResource[];
  readonly removals: readonly string[];
}

/** What decoding a response gave: the good resources go live, the bad are refused by name. */
export interface Decoded {
  readonly changes: readonly Change[];
  readonly accepted: readonly ReceivedResource[];
  readonly errors: readonly string[];
  /** Fields with numbers that this build does not know; ignored and counted. */
  readonly unknownFields: number;
}

/** Everything received and accepted, by kind, as bytes: what a restarted container begins with. */
export type HeldResources = ReadonlyMap<ResourceKind, ReadonlyMap<string, ReceivedResource>>;

/** The codec of all that. Hands over plain data alone, so that nothing of it is kept alive by what it has read. */
export interface XdsWire {
  encodeRequest(request: DeltaRequest, node: DeltaNode | undefined): Buffer;
  /** Throws on bytes that are no such message. */
  decodeResponse(bytes: Buffer): DeltaResponse;
  encodeStateRequest(request: StateRequest, node: DeltaNode | undefined): Buffer;
  /** Throws likewise. */
  decodeStateResponse(bytes: Buffer): StateResponse;
  /** Decodes every resource of a response, collecting errors, before anything is applied. */
  decodeEffect(kind: ResourceKind, typeUrl: string, effect: DeltaEffect): Decoded;
  encodeHeld(held: HeldResources, typeUrlOf: (kind: ResourceKind) => string): Uint8Array;
  /** Undefined when the bytes are not a whole file of this format. */
  decodeHeld(bytes: Uint8Array): ReadonlyMap<string, readonly ReceivedResource[]> | undefined;
}
