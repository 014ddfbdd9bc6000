/** The validating webhook on 15017 (AdmissionReview, admission.k8s.io/v1). */
import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import { serverTls } from '@weft/policies/kit/server-tls';
import { boundConnections, SourceShares } from '@weft/policies/kit/shares';
import { z } from 'zod';
import type { ServingCertificate } from '../ca/serving.ts';
import type { ListenAddress } from '../config.ts';
import type { AdmissionVerdict } from './validate.ts';

const review = z.looseObject({
  apiVersion: z.literal('admission.k8s.io/v1'),
  kind: z.literal('AdmissionReview'),
  request: z.looseObject({
    uid: z.string(),
    operation: z.string(),
    kind: z.looseObject({ kind: z.string() }),
    object: z.unknown().optional(),
  }),
});

/** An object of etcd's greatest size and its envelope. */
const bodyBytesMax = 3_145_728;
const timeoutMs = 10_000;
/**
 * The API server asks, at most 200 times at once as it is delivered (--max-mutating-requests-inflight), and anybody may:
 * authority and configuration of the mesh live in the same process.
 */
const connectionsMax = { all: 1_024, ofAddress: 256 };
/** Of bodies: whoever sends slowly or much takes the room of his own address first. */
const heldBytesMax = { all: 100_663_296, ofAddress: 25_165_824 };

interface WebhookOptions {
  readonly address: ListenAddress;
  readonly certificate: ServingCertificate;
  readonly validate: (kind: string, object: unknown) => AdmissionVerdict;
}

interface AdmissionCounters {
  allowed: number;
  denied: number;
  malformed: number;
  /** Connections, and reviews for which there was no room. */
  refused: number;
}

interface AdmissionWebhook {
  readonly port: number;
  readonly counters: AdmissionCounters;
  stop(): Promise<void>;
}

export async function startWebhook(options: WebhookOptions): Promise<AdmissionWebhook> {
  const { certificate, address } = options;
  const counters: AdmissionCounters = { allowed: 0, denied: 0, malformed: 0, refused: 0 };
  const held = new SourceShares(heldBytesMax);
  const context = () => ({
    ...serverTls,
    cert: certificate.current.certificatePem,
    key: certificate.current.privateKeyPem.reveal(),
  });
  const server = createServer(
    { ...context(), requestTimeout: timeoutMs, headersTimeout: timeoutMs },
    (request, response) => {
      answer(options, counters, held, request, response).catch((fault: unknown) => {
        // The API server goes by failurePolicy; the process and its other answers go on.
        counters.malformed += 1;
        if (response.headersSent) response.destroy();
        else response.writeHead(500).end(`${fault instanceof Error ? fault.message : 'the review failed'}\n`);
      });
    },
  );
  boundConnections(server, connectionsMax, () => {
    counters.refused += 1;
  });
  certificate.onChange(() => server.setSecureContext(context()));
  const port = await new Promise<number>((resolve, reject) => {
    server.once('error', reject);
    server.listen(address.port, address.host, () => {
      const bound = server.address();
      resolve(typeof bound === 'object' && bound !== null ? bound.port : address.port);
    });
  });
  return {
    port,
    counters,
    stop: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

async function answer(
  options: WebhookOptions,
  counters: AdmissionCounters,
  held: SourceShares,
  request: IncomingMessage,
  response: ServerResponse,
): Promise<void> {
  const send = (status: number, body: string, type: string): void => {
    response.writeHead(status, { 'content-type': type });
    response.end(body);
  };
  const refuse = (status: number, message: string): void => {
    counters.malformed += 1;
    send(status, `${message}\n`, 'text/plain; charset=utf-8');
  };
  if (request.url?.split('?')[0] !== '/validate') return refuse(404, 'the path is /validate');
  if (request.method !== 'POST') return refuse(405, 'POST only');
  const body = await readBody(request, held);
  if (body === noRoom) {
    counters.refused += 1;
    response.writeHead(503, { connection: 'close' }).end('too much is being reviewed\n');
    return;
  }
  if (body === undefined) return refuse(413, `the body is longer than ${bodyBytesMax} bytes or broke off`);
  let json: unknown;
  try {
    json = JSON.parse(body);
  } catch {
    return refuse(400, 'the body is not JSON');
  }
  const parsed = review.safeParse(json);
  if (!parsed.success) return refuse(400, 'the body is no AdmissionReview of admission.k8s.io/v1');
  const { uid, kind, object, operation } = parsed.data.request;
  const verdict: AdmissionVerdict =
    operation === 'DELETE' || isBeingDeleted(object)
      ? { allowed: true, warnings: [] }
      : options.validate(kind.kind, object);
  counters[verdict.allowed ? 'allowed' : 'denied'] += 1;
  const result = verdict.allowed
    ? { uid, allowed: true, ...(verdict.warnings.length > 0 ? { warnings: verdict.warnings } : {}) }
    : { uid, allowed: false, status: { code: 422, reason: 'Invalid', message: verdict.message } };
  send(
    200,
    JSON.stringify({ apiVersion: 'admission.k8s.io/v1', kind: 'AdmissionReview', response: result }),
    'application/json',
  );
}

/** What is on its way out may lose its finalizers, whatever else is wrong with it. */
const isBeingDeleted = (object: unknown): boolean => {
  const metadata = typeof object === 'object' && object !== null && 'metadata' in object ? object.metadata : undefined;
  return typeof metadata === 'object' && metadata !== null && 'deletionTimestamp' in metadata;
};

const noRoom = Symbol('no room');

async function readBody(request: IncomingMessage, held: SourceShares): Promise<string | typeof noRoom | undefined> {
  const address = request.socket.remoteAddress ?? '';
  const chunks: Buffer[] = [];
  let bytes = 0;
  try {
    for await (const chunk of request.iterator({ destroyOnReturn: false })) {
      if (!Buffer.isBuffer(chunk) || bytes + chunk.length > bodyBytesMax) return undefined;
      if (!held.take(address, chunk.length)) return noRoom;
      bytes += chunk.length;
      chunks.push(chunk);
    }
  } catch {
    return undefined;
  } finally {
    held.giveBack(address, bytes);
  }
  return Buffer.concat(chunks).toString('utf8');
}
