import { readFileSync } from 'node:fs';
import type { Clock } from '@weft/policies/kit/clock';
import type { DecisionReport } from '@weft/policies/model/decision-report';
import { methodPaths } from '@weft/policies/wire/method-paths';
import { decodeReported, encodeReport } from './authorization/messages.ts';
import type { Method } from './grpc/call.ts';
import { GrpcChannel } from './grpc/channel.ts';
import { direct } from './grpc/direct.ts';
import type { SignedChain } from './identity/manager.ts';
import { decodeLeaseResponse, encodeLeaseRequest, type QuotaLease, type QuotaUse } from './quota/messages.ts';
import type { ControlWire } from './wire/codec.ts';
import type { AdsListener, AdsStream } from './xds/client.ts';
import type { DeltaNode, DeltaRequest, DeltaResponse } from './xds/messages.ts';

const SIGN_TIMEOUT_MS = 10_000;
const LEASE_TIMEOUT_MS = 2_000;

export interface ChannelCredential {
  readonly authorization?: string | undefined;
  readonly client?: { readonly certPem: string; readonly keyPem: string } | undefined;
}

export interface ControlChannelOptions {
  /** host:port */
  readonly target: string;
  readonly trustFile: string;
  readonly tokenFile: string;
  /** In the place of the token's file: what each RPC brings, as `authorization`, or a client certificate. */
  readonly credential?: () => ChannelCredential;
  /** Anchors that are trusted beside those of the file, PEM. */
  readonly moreTrustPem?: () => string | undefined;
  /** The name that its certificate has to show, where `target` is an address and not that name. */
  readonly serverName?: string;
  readonly clock: Clock;
  /** Found anew for each message: it may have been let go meanwhile. */
  readonly wire: () => ControlWire;
}

const leasing: Method<readonly [node: string, uses: readonly QuotaUse[]], readonly QuotaLease[]> = {
  path: methodPaths.lease,
  requestSerialize: ([node, uses]) => encodeLeaseRequest(node, uses),
  responseDeserialize: decodeLeaseResponse,
};

const reporting: Method<readonly [node: string, report: DecisionReport], string> = {
  path: methodPaths.report,
  requestSerialize: ([node, report]) => encodeReport(node, report),
  responseDeserialize: decodeReported,
};

type Discovery = readonly [request: DeltaRequest, node: DeltaNode | undefined];

/**
 * The way to the control plane: TLS verified against the trust bundle of the pod, and the pod's token on every RPC.
 * Bundle and token are read again for each use, since both are rotated under the running process.
 */
export class ControlChannel {
  private readonly options: ControlChannelOptions;
  private readonly discovery: Method<Discovery, DeltaResponse>;
  private readonly signing: Method<Uint8Array, SignedChain>;
  private channel: GrpcChannel | undefined;
  /** What the channel was made with. */
  private madeOf = '';

  constructor(options: ControlChannelOptions) {
    this.options = options;
    const { wire } = options;
    this.discovery = {
      path: methodPaths.deltaAggregatedResources,
      requestSerialize: ([request, node]) => wire().encodeRequest(request, node),
      responseDeserialize: (bytes) => wire().decodeResponse(bytes),
    };
    this.signing = {
      path: methodPaths.sign,
      requestSerialize: (csr) => wire().encodeSignRequest(csr),
      responseDeserialize: (bytes) => wire().decodeSignResponse(bytes),
    };
  }

  /** Throws when the trust bundle or token cannot be read; the callers retry with backoff. */
  openDiscovery(listener: AdsListener): AdsStream {
    const options = { metadata: this.metadata(), timeoutMs: 0 };
    const call = this.connected().call(this.discovery, options, {
      onAccepted: () => listener.onAccepted(),
      onMessage: (response) => listener.onMessage(response),
      onEnd: ({ code, message }) => listener.onLost(code === 0 ? 'ended by the control plane' : failure(code, message)),
    });
    return { send: (request, node) => call.send([request, node]), cancel: () => call.cancel() };
  }

  sign(csr: Uint8Array): Promise<SignedChain> {
    return this.unary(this.signing, csr, SIGN_TIMEOUT_MS);
  }

  lease(node: string, uses: readonly QuotaUse[]): Promise<readonly QuotaLease[]> {
    return this.unary(leasing, [node, uses], LEASE_TIMEOUT_MS);
  }

  /** Resolves with the instance of the control plane that has taken it. */
  report(node: string, report: DecisionReport): Promise<string> {
    return this.unary(reporting, [node, report], LEASE_TIMEOUT_MS);
  }

  close(): void {
    this.channel?.close();
  }

  /** One message each way. Rejects with what the authority says. */
  unary<Request, Response>(method: Method<Request, Response>, request: Request, timeoutMs: number): Promise<Response> {
    return new Promise((resolve, reject) => {
      let answer: Response | undefined;
      const call = this.connected().call(
        method,
        { metadata: this.metadata(), timeoutMs },
        {
          onMessage(response) {
            answer = response;
          },
          onEnd({ code, message }) {
            if (code === 0 && answer !== undefined) resolve(answer);
            else reject(new Error(code === 0 ? 'empty answer' : failure(code, message)));
          },
        },
      );
      call.send(request, true);
    });
  }

  private metadata(): readonly string[] {
    const { credential, tokenFile } = this.options;
    if (credential === undefined) return ['authorization', `Bearer ${readFileSync(tokenFile, 'utf8').trim()}`];
    const { authorization } = credential();
    return authorization === undefined ? [] : ['authorization', authorization];
  }

  private connected(): GrpcChannel {
    const { target, serverName, clock, trustFile, credential, moreTrustPem } = this.options;
    const trustPem = `${readFileSync(trustFile, 'utf8')}\n${moreTrustPem?.() ?? ''}`;
    const client = credential?.().client;
    const madeOf = `${trustPem}${client?.certPem ?? ''}`;
    if (this.channel !== undefined && madeOf === this.madeOf) return this.channel;
    // Streams of the old channel go on; it closes when they end.
    this.channel?.close();
    this.madeOf = madeOf;
    const colon = target.lastIndexOf(':');
    const host = target.slice(0, colon).replace(/^\[(.*)\]$/, '$1');
    const tls = { trustPem, serverName: serverName ?? host, ...(client === undefined ? {} : { client }) };
    const via = direct({ host, port: Number(target.slice(colon + 1)), tls });
    this.channel = new GrpcChannel({ via, clock });
    return this.channel;
  }
}

const failure = (code: number, message: string): string => `gRPC status ${code}: ${message}`;
