import { readFileSync } from 'node:fs';
import { create } from '@bufbuild/protobuf';
import type { Clock } from '@weft/policies/kit/clock';
import { SignRequestSchema, type SignResponse } from '@weft/policies/wire/gen/weft/ca/v1/certificates_pb';
import { aggregatedDiscovery, certificates } from '@weft/policies/wire/grpc';
import { GrpcChannel } from './grpc/channel.ts';
import type { SignedChain } from './identity/manager.ts';
import type { AdsListener, AdsStream } from './xds/client.ts';

const SIGN_TIMEOUT_MS = 10_000;

export interface ControlChannelOptions {
  /** host:port */
  readonly target: string;
  readonly trustFile: string;
  readonly tokenFile: string;
  /** The name that its certificate has to show, where `target` is an address and not that name. */
  readonly serverName?: string;
  readonly clock: Clock;
}

/**
 * The way to the control plane: TLS verified against the trust bundle of the pod, and the pod's token on every RPC.
 * Bundle and token are read again for each use, since both are rotated under the running process.
 */
export class ControlChannel {
  private readonly options: ControlChannelOptions;
  private channel: GrpcChannel | undefined;
  private trust = '';

  constructor(options: ControlChannelOptions) {
    this.options = options;
  }

  /** Throws when the trust bundle or token cannot be read; the callers retry with backoff. */
  openDiscovery(listener: AdsListener): AdsStream {
    const options = { metadata: this.metadata(), timeoutMs: 0 };
    return this.connected().call(aggregatedDiscovery.DeltaAggregatedResources, options, {
      onMessage: (response) => listener.onMessage(response),
      onEnd: ({ code, message }) => listener.onLost(code === 0 ? 'ended by the control plane' : failure(code, message)),
    });
  }

  sign(csr: Uint8Array): Promise<SignedChain> {
    return new Promise((resolve, reject) => {
      let answer: SignResponse | undefined;
      const options = { metadata: this.metadata(), timeoutMs: SIGN_TIMEOUT_MS };
      const call = this.connected().call(certificates.Sign, options, {
        onMessage(response) {
          answer = response;
        },
        onEnd({ code, message }) {
          if (code !== 0 || answer === undefined)
            reject(new Error(code === 0 ? 'empty answer' : failure(code, message)));
          else {
            resolve({
              chain: answer.certificateChain,
              trustAnchors: answer.trustAnchors,
              authorityUnixMs: Number(answer.nowUnixMs),
            });
          }
        },
      });
      call.send(create(SignRequestSchema, { csr }), true);
    });
  }

  close(): void {
    this.channel?.close();
  }

  private metadata(): readonly string[] {
    return ['authorization', `Bearer ${readFileSync(this.options.tokenFile, 'utf8').trim()}`];
  }

  private connected(): GrpcChannel {
    const trustPem = readFileSync(this.options.trustFile, 'utf8');
    if (this.channel !== undefined && trustPem === this.trust) return this.channel;
    // Streams of the old channel go on; it closes when they end.
    this.channel?.close();
    this.trust = trustPem;
    const { target, serverName, clock } = this.options;
    const colon = target.lastIndexOf(':');
    const host = target.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
    const tls = { trustPem, serverName: serverName ?? host };
    this.channel = new GrpcChannel({ host, port: Number(target.slice(colon + 1)), tls, clock });
    return this.channel;
  }
}

const failure = (code: number, message: string): string => `gRPC status ${code}: ${message}`;
