/**
 * Many sidecars that come at once, in a process of their own: each has its key and request already, opens its own TLS
 * connection and makes one call of `weft.ca.v1.Certificates/Sign`. The call is written on `node:http2`, since a channel of
 * grpc-js would cost the clients' core more than the server's. Prints one line of JSON.
 */
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { connect } from 'node:http2';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { formatSpiffeId, parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { SignRequestSchema, SignResponseSchema } from '@weft/policies/wire/gen/weft/ca/v1/certificates_pb';
import { certificates } from '@weft/policies/wire/grpc';

const [port = '', trustFile = '', countText = '', parallelText = ''] = process.argv.slice(2);
const count = Number(countText);
const ca = readFileSync(trustFile, 'utf8');
const trustDomain = parseTrustDomain('cluster.local');
if (!trustDomain.ok) throw new Error(trustDomain.error);

/** The five octets before a message (gRPC over HTTP/2, "Length-Prefixed-Message"). */
function framed(message: Uint8Array): Buffer {
  const bytes = Buffer.alloc(5 + message.length);
  bytes.writeUInt32BE(message.length, 1);
  bytes.set(message, 5);
  return bytes;
}

interface Client {
  readonly token: string;
  readonly request: Buffer;
}

async function prepare(index: number): Promise<Client> {
  if (!trustDomain.ok) throw new Error('trust domain');
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const serviceAccount = `account-${index}`;
  const spiffeId = formatSpiffeId({ trustDomain: trustDomain.value, namespace: 'crowd', serviceAccount });
  const csr = await buildCsr({ spiffeId, publicKey, sign: keySigner(privateKey) });
  const request = framed(toBinary(SignRequestSchema, create(SignRequestSchema, { csr: Uint8Array.from(csr) })));
  return { token: `token-${index}`, request };
}

function enroll({ token, request }: Client): Promise<Uint8Array> {
  return new Promise((resolve, reject) => {
    const session = connect(`https://127.0.0.1:${port}`, { ca, servername: 'localhost' });
    session.once('error', reject);
    const stream = session.request({
      ':method': 'POST',
      ':path': certificates.Sign.path,
      'content-type': 'application/grpc',
      te: 'trailers',
      authorization: `Bearer ${token}`,
    });
    const parts: Buffer[] = [];
    let status = 'none';
    stream.on('response', (headers) => {
      if (headers['grpc-status'] !== undefined) status = `${headers['grpc-status']} ${headers['grpc-message']}`;
    });
    stream.on('trailers', (trailers) => {
      status = `${trailers['grpc-status']} ${trailers['grpc-message'] ?? ''}`;
    });
    stream.on('data', (part: Buffer) => parts.push(part));
    stream.once('error', reject);
    stream.once('close', () => {
      session.close();
      if (!status.startsWith('0')) return reject(new Error(`grpc-status ${status}`));
      const [leaf] = fromBinary(SignResponseSchema, Buffer.concat(parts).subarray(5)).certificateChain;
      return leaf === undefined ? reject(new Error('no certificate')) : resolve(leaf);
    });
    stream.end(request);
  });
}

const clients: Client[] = [];
for (let index = 0; index < count; index++) clients.push(await prepare(index));
const startedMs = performance.now();
const tookMs: number[] = [];
const serials = new Set<string>();
let next = 0;
async function worker(): Promise<void> {
  for (let client = clients[next++]; client !== undefined; client = clients[next++]) {
    const fromMs = performance.now();
    const leaf = await enroll(client);
    tookMs.push(performance.now() - fromMs);
    // One in a hundred is looked at; all of them would be the clients' work and not the server's.
    if (serials.size * 100 <= tookMs.length) serials.add(new X509Certificate(leaf).serialNumber);
  }
}
await Promise.all(Array.from({ length: Number(parallelText) }, worker));
const seconds = (performance.now() - startedMs) / 1_000;
tookMs.sort((a, b) => a - b);
const p99Ms = tookMs[Math.floor(tookMs.length * 0.99)] ?? 0;
process.stdout.write(`${JSON.stringify({ seconds, enrolled: tookMs.length, p99Ms, distinctSerials: serials.size })}\n`);
