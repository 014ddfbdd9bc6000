/** A client of the Workload API over its socket, and an agent that serves it. */
import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { connect as connectHttp2 } from 'node:http2';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import { FileJoinRecords } from '@weft/control-plane/join/file-records';
import { Joins } from '@weft/control-plane/join/joins';
import { type Harness, startHarness } from '@weft/control-plane/testing/harness';
import { shopObjects, shopTokens } from '@weft/control-plane/testing/shop';
import { newJoinToken } from '@weft/policies/identity/join-token';
import { systemClock } from '@weft/policies/kit/clock';
import { systemPrng } from '@weft/policies/kit/prng';
import type { Secret } from '@weft/policies/kit/secret';
import { X509SVIDRequestSchema, X509SVIDResponseSchema } from '@weft/policies/wire/gen/spiffe/workload/workload_pb';
import { frameMessage, MessageReader } from '@weft/sidecar/grpc/messages';
import { type Agent, startAgent } from '@weft/sidecar/workload-api/agent';

export const vm = 'spiffe://cluster.local/ns/shop/sa/vm';
export const x509 = [X509SVIDRequestSchema, X509SVIDResponseSchema] as const;
export const ownUid = process.getuid?.() ?? 0;

interface Answer<Response> {
  readonly messages: readonly Response[];
  readonly status: number;
  readonly message: string;
}

/** One call; a stream is left after its first message. */
export function ask<Request extends DescMessage, Response extends DescMessage>(
  socket: string,
  method: string,
  [requestSchema, responseSchema]: readonly [Request, Response],
  init: Parameters<typeof create<Request>>[1],
  headers: Readonly<Record<string, string>> = { 'workload.spiffe.io': 'true' },
): Promise<Answer<MessageShape<Response>>> {
  return new Promise((resolve, reject) => {
    const session = connectHttp2('http://localhost', { path: socket } as Parameters<typeof connectHttp2>[1]);
    const messages: MessageShape<Response>[] = [];
    const done = (status: number, message: string): void => {
      session.destroy();
      resolve({ messages, status, message });
    };
    session.on('error', reject);
    const stream = session.request({
      ':method': 'POST',
      ':path': `/SpiffeWorkloadAPI/${method}`,
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    });
    const ended = (trailers: Readonly<Record<string, unknown>>): void => {
      if (trailers['grpc-status'] !== undefined)
        done(Number(trailers['grpc-status']), decodeURIComponent(String(trailers['grpc-message'] ?? '')));
    };
    const reader = new MessageReader(1_000_000, (bytes) => {
      messages.push(fromBinary(responseSchema, bytes));
      if (method.startsWith('FetchX509') || method.endsWith('Bundles')) done(-1, '');
    });
    stream.on('response', ended);
    stream.on('trailers', ended);
    stream.on('data', (chunk: Buffer) => reader.push(chunk));
    stream.on('error', reject);
    stream.end(frameMessage(Buffer.from(toBinary(requestSchema, create(requestSchema, init)))));
  });
}

/** A control plane that takes join tokens, and agents of it. */
export async function agentRig() {
  const folder = mkdtempSync(join(tmpdir(), 'weft-workload-api-'));
  const records = new FileJoinRecords(join(folder, 'joins'));
  const trustFile = join(folder, 'root-cert.pem');
  const joins = new Joins(records, systemClock);
  const harness: Harness = await startHarness({ objects: shopObjects, tokens: shopTokens, joins });
  writeFileSync(trustFile, harness.authority.trustBundlePem);
  const agents: Agent[] = [];
  const lines: string[] = [];
  const issue = (): Secret<string> => {
    const { token, digest } = newJoinToken();
    const now = Date.now();
    const record = { digest, namespace: 'shop', serviceAccount: 'vm', createdUnixMs: now, expiresUnixMs: now + 60_000 };
    assert.ok(records.create({ ...record, use: undefined }).ok);
    return token;
  };
  const start = async (name: string, joinToken: Secret<string> | undefined, allowUids = [ownUid]) => {
    const socket = join(folder, `${name}.sock`);
    const config = { socket, controlPlane: harness.address, serverName: undefined, trustFile, joinToken, allowUids };
    const ports = { clock: systemClock, prng: systemPrng, log: (line: string) => void lines.push(line) };
    const agent = await startAgent({ ...config, stateDir: join(folder, name) }, ports);
    if (agent.ok) agents.push(agent.value);
    return { agent, socket };
  };
  const stop = async (): Promise<void> => {
    for (const agent of agents) agent.close();
    await harness.stop();
    rmSync(folder, { recursive: true, force: true });
  };
  return { harness, folder, lines, issue, start, stop };
}
