/** One workload that comes for its first certificate, and what is asked of the answer. */
import { generateKeyPairSync, type KeyObject, type X509Certificate } from 'node:crypto';
import { connect, type SecureContext } from 'node:tls';
import { create, toBinary } from '@bufbuild/protobuf';
import { formatSpiffeId, type SpiffeId, type TrustDomain } from '@weft/policies/identity/spiffe-id';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { systemClock } from '@weft/policies/kit/clock';
import {
  type SignRequest,
  SignRequestSchema,
  type SignResponse,
} from '@weft/policies/wire/gen/weft/ca/v1/certificates_pb';
import { certificates } from '@weft/policies/wire/grpc';
import { ClientCall, type Method } from '@weft/sidecar/grpc/call';
import { connectHttp2 } from '@weft/sidecar/http/h2/client';
import { Headers } from '@weft/sidecar/http/headers';

export interface Workload {
  readonly spiffeId: SpiffeId;
  readonly publicKey: KeyObject;
  readonly token: string;
  readonly request: Buffer;
}

export interface Target {
  readonly port: number;
  /** Trusts the mesh's root and nothing else. A sidecar makes one when it starts, and this process is all of them. */
  readonly context: SecureContext;
}

const sign: Method<Buffer, SignResponse> = { ...certificates.Sign, requestSerialize: (bytes) => bytes };
const connectMsMax = 20_000;

export async function prepare(trustDomain: TrustDomain, index: number): Promise<Workload> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const spiffeId = formatSpiffeId({ trustDomain, namespace: 'crowd', serviceAccount: `account-${index}` });
  const csr = Uint8Array.from(await buildCsr({ spiffeId, publicKey, sign: keySigner(privateKey) }));
  const message: SignRequest = create(SignRequestSchema, { csr });
  const request = Buffer.from(toBinary(SignRequestSchema, message));
  return { spiffeId, publicKey, token: `token-${index}`, request };
}

/** A connection of its own, never resumed, and one call on it, by the sidecar's HTTP/2 and gRPC. */
export function enroll({ port, context }: Target, { token, request }: Workload): Promise<SignResponse> {
  return new Promise((resolve, reject) => {
    const socket = connect({
      host: '127.0.0.1',
      port,
      secureContext: context,
      servername: 'localhost',
      ALPNProtocols: ['h2'],
    });
    socket.once('error', reject);
    socket.setTimeout(connectMsMax, () => socket.destroy(new Error('no answer')));
    socket.once('secureConnect', () => {
      if (socket.alpnProtocol !== 'h2' || !socket.authorized) return reject(new Error('not the control plane'));
      const connection = connectHttp2(
        { socket, alpn: 'h2', peer: undefined, localIp: '' },
        { clock: systemClock, settingsTimeoutMs: connectMsMax },
      );
      let response: SignResponse | undefined;
      const call = new ClientCall(sign, {
        onMessage: (message) => {
          response = message;
        },
        onEnd: ({ code, message }) => {
          connection.drain();
          if (code === 0 && response !== undefined) resolve(response);
          else reject(new Error(`grpc-status ${code} ${message}`));
        },
      });
      call.send(request, true);
      call.start(connection, {
        method: 'POST',
        scheme: 'https',
        authority: `localhost:${port}`,
        path: sign.path,
        protocol: undefined,
        headers: Headers.from([
          'content-type',
          'application/grpc',
          'te',
          'trailers',
          'user-agent',
          'weft',
          'authorization',
          `Bearer ${token}`,
        ]),
        version: 20,
        contentLength: -1,
        expectContinue: false,
      });
    });
  });
}

/** What the certificate lacks; undefined: it is for the key and the name that were asked for, and the root's signature is right. */
export function wrongIn(leaf: X509Certificate, workload: Workload, root: X509Certificate): string | undefined {
  const nowMs = Date.now();
  if (!leaf.checkIssued(root) || !leaf.verify(root.publicKey)) return 'it is not signed by the root';
  if (!leaf.publicKey.equals(workload.publicKey)) return 'it is for another key';
  if (leaf.subjectAltName !== `URI:${workload.spiffeId}`) return `it is for ${leaf.subjectAltName}`;
  if (leaf.validFromDate.getTime() > nowMs || leaf.validToDate.getTime() < nowMs) return 'it is not valid now';
  return leaf.ca ? 'it is one of an authority' : undefined;
}
