import { readFileSync } from 'node:fs';
import { create } from '@bufbuild/protobuf';
import { Client, credentials, Metadata } from '@grpc/grpc-js';
import { SignRequestSchema } from '@weft/policies/wire/gen/weft/ca/v1/certificates_pb';
import { aggregatedDiscovery, certificates } from '@weft/policies/wire/grpc';
import type { SignedChain } from './identity/manager.ts';
import type { AdsStream } from './xds/client.ts';

const SIGN_TIMEOUT_MS = 10_000;

export interface ControlChannelOptions {
  /** host:port */
  readonly target: string;
  readonly trustFile: string;
  readonly tokenFile: string;
  /** The name that its certificate has to show, where `target` is an address and not that name. */
  readonly serverName?: string;
}

/**
 * The way to the control plane: TLS verified against the trust bundle of the pod, and the pod's token on every RPC.
 * Bundle and token are read again for each use, since both are rotated under the running process.
 */
export class ControlChannel {
  private readonly options: ControlChannelOptions;
  private client: Client | undefined;
  private trust = '';

  constructor(options: ControlChannelOptions) {
    this.options = options;
  }

  /** Throws when the trust bundle or token cannot be read; the callers retry with backoff. */
  openDiscovery(): AdsStream {
    const { path, requestSerialize, responseDeserialize } = aggregatedDiscovery.DeltaAggregatedResources;
    return this.connected().makeBidiStreamRequest(path, requestSerialize, responseDeserialize, this.metadata());
  }

  sign(csr: Uint8Array): Promise<SignedChain> {
    const { path, requestSerialize, responseDeserialize } = certificates.Sign;
    return new Promise((resolve, reject) => {
      this.connected().makeUnaryRequest(
        path,
        requestSerialize,
        responseDeserialize,
        create(SignRequestSchema, { csr }),
        this.metadata(),
        { deadline: Date.now() + SIGN_TIMEOUT_MS },
        (error, response) => {
          if (error !== null || response === undefined) return reject(error ?? new Error('empty answer'));
          resolve({
            chain: response.certificateChain,
            trustAnchors: response.trustAnchors,
            authorityUnixMs: Number(response.nowUnixMs),
          });
        },
      );
    });
  }

  close(): void {
    this.client?.close();
  }

  private metadata(): Metadata {
    const metadata = new Metadata();
    metadata.set('authorization', `Bearer ${readFileSync(this.options.tokenFile, 'utf8').trim()}`);
    return metadata;
  }

  private connected(): Client {
    const trust = readFileSync(this.options.trustFile, 'utf8');
    if (this.client !== undefined && trust === this.trust) return this.client;
    // Streams of the old channel go on; it closes when they end.
    this.client?.close();
    this.trust = trust;
    this.client = new Client(this.options.target, credentials.createSsl(Buffer.from(trust)), {
      ...(this.options.serverName === undefined ? {} : { 'grpc.ssl_target_name_override': this.options.serverName }),
      'grpc.keepalive_time_ms': 30_000,
      'grpc.keepalive_timeout_ms': 10_000,
      'grpc.keepalive_permit_without_calls': 1,
      'grpc.initial_reconnect_backoff_ms': 200,
      'grpc.max_reconnect_backoff_ms': 5_000,
      'grpc.max_receive_message_length': 64 * 1_024 * 1_024,
    });
    return this.client;
  }
}
