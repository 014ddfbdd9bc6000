/** A control plane on loopback with real TLS and real gRPC, and clients of it, for tests. */
import { generateKeyPairSync, type KeyObject } from 'node:crypto';
import { create } from '@bufbuild/protobuf';
import { Client, credentials, Metadata, type ServiceError, status } from '@grpc/grpc-js';
import { formatSpiffeId, parseTrustDomain, type TrustDomain } from '@weft/policies/identity/spiffe-id';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import { encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { systemClock } from '@weft/policies/kit/clock';
import {
  type SignRequest,
  SignRequestSchema,
  type SignResponse,
} from '@weft/policies/wire/gen/weft/ca/v1/certificates_pb';
import { certificates } from '@weft/policies/wire/grpc';
import type { TokenVerifier } from '../auth/caller.ts';
import { CertificateAuthority } from '../ca/certificate-authority.ts';
import { MemoryJwtKeyStore } from '../ca/jwt-key-stores.ts';
import { JwtKeys } from '../ca/jwt-keys.ts';
import { loadAuthority } from '../ca/material.ts';
import { createRoot } from '../ca/root.ts';
import { parseConfig } from '../config.ts';
import type { Decisions } from '../decisions/decisions.ts';
import type { Joins } from '../join/joins.ts';
import { MeshControl } from '../mesh.ts';
import { localOperators } from '../monitoring/operators.ts';
import type { ModeTimes } from '../resources/mode-changes.ts';
import type { ConnectionLimits } from '../rpc/connection-gate.ts';
import { monitor, type Serving, serve } from '../serve.ts';
import { parseObjects } from '../static/objects.ts';
import { StaticTokenVerifier } from '../static/tokens.ts';
import { defaultXdsLimits, type XdsLimits } from '../xds/hub.ts';

export const trustDomain = (): TrustDomain => {
  const parsed = parseTrustDomain('cluster.local');
  if (!parsed.ok) throw new Error(parsed.error);
  return parsed.value;
};

/** What a client has to know of a server. */
export interface ServerSide {
  readonly address: string;
  readonly authority: { readonly trustBundlePem: string };
}

export interface Harness extends ServerSide {
  readonly mesh: MeshControl;
  readonly ca: CertificateAuthority;
  readonly serving: Serving;
  readonly decisions: Decisions;
  readonly auditLines: readonly string[];
  apply(yaml: string): void;
  stop(): Promise<void>;
}

export async function startHarness(options: {
  readonly objects: string;
  readonly tokens: string;
  /** In the place of `tokens`. */
  readonly verifier?: TokenVerifier;
  readonly limits?: Partial<XdsLimits>;
  readonly joins?: Joins;
  readonly modeTimes?: ModeTimes;
  readonly connections?: Partial<ConnectionLimits>;
}): Promise<Harness> {
  const parsed = parseConfig(['--xds', '127.0.0.1:0', '--monitoring', '127.0.0.1:0'], {});
  if (!parsed.ok || parsed.value === 'help') throw new Error('config');
  const config = { ...parsed.value, connections: { ...parsed.value.connections, ...options.connections } };
  const domain = trustDomain();
  const limits = { ...defaultXdsLimits, ...options.limits };
  const mesh = new MeshControl({
    meshNamespace: 'weft-system',
    trustDomain: domain,
    clock: systemClock,
    limits,
    ...(options.modeTimes && { modeTimes: options.modeTimes }),
  });
  const apply = (yaml: string): void => {
    const objects = parseObjects(yaml);
    if (!objects.ok) throw new Error(objects.error);
    for (const object of objects.value) mesh.apply(object);
  };
  apply(options.objects);
  const tokens = StaticTokenVerifier.parse(options.tokens, systemClock);
  if (!tokens.ok) throw new Error(tokens.error);
  const authority = loadAuthority(await createRoot(domain, Date.now()), {
    clock: systemClock,
    issued: { trustDomain: domain, dnsName: undefined },
  });
  if (!authority.ok) throw new Error(authority.error);
  const ca = new CertificateAuthority(authority.value);
  const jwtKeys = new JwtKeys(new MemoryJwtKeyStore(), systemClock);
  await jwtKeys.refresh();
  const auditLines: string[] = [];
  const write = (message: string, fields: unknown): void =>
    void auditLines.push(`${message} ${JSON.stringify(fields)}`);
  const monitored = await monitor({
    config,
    mesh,
    missing: () => undefined,
    moreMetrics: () => [],
    isOperator: localOperators,
  });
  const serving = await serve({
    config,
    mesh,
    authority: ca,
    tokens: options.verifier ?? tokens.value,
    joins: options.joins,
    jwtKeys,
    log: { info: write, warn: write, error: write },
    monitored,
  });
  return {
    mesh,
    authority: {
      get trustBundlePem() {
        return ca.pem();
      },
    },
    ca,
    serving,
    decisions: monitored.decisions,
    address: `127.0.0.1:${serving.xdsPort}`,
    auditLines,
    apply,
    stop: () => serving.stop(),
  };
}

export interface ClientIdentity {
  readonly token?: string;
  readonly joinToken?: string;
  readonly certificate?: { readonly chainPem: string; readonly key: KeyObject };
}

export function rpcClient(
  harness: ServerSide,
  identity: ClientIdentity,
): { readonly client: Client; readonly metadata: Metadata } {
  const { certificate, token, joinToken } = identity;
  const channel = credentials.createSsl(
    Buffer.from(harness.authority.trustBundlePem),
    certificate === undefined ? null : Buffer.from(certificate.key.export({ type: 'pkcs8', format: 'pem' })),
    certificate === undefined ? null : Buffer.from(certificate.chainPem),
  );
  const client = new Client(harness.address, channel, {
    'grpc.ssl_target_name_override': 'weft-control-plane.weft-system.svc',
    'grpc.enable_retries': 0,
  });
  const metadata = new Metadata();
  if (token !== undefined) metadata.set('authorization', `Bearer ${token}`);
  if (joinToken !== undefined) metadata.set('authorization', `Join ${joinToken}`);
  return { client, metadata };
}

interface UnaryMethod<Request, Response> {
  readonly path: string;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

interface Refusal {
  readonly ok: false;
  readonly code: string;
  readonly details: string;
}

export type UnaryOutcome<Response> = { readonly ok: true; readonly response: Response } | Refusal;

/** One call on a connection of its own. */
export async function callUnary<Request, Response>(
  harness: ServerSide,
  identity: ClientIdentity,
  { path, requestSerialize, responseDeserialize }: UnaryMethod<Request, Response>,
  request: Request,
): Promise<UnaryOutcome<Response>> {
  const { client, metadata } = rpcClient(harness, identity);
  const options = { deadline: Date.now() + 10_000 };
  try {
    return await new Promise((resolve) => {
      const done = (error: ServiceError | null, response?: Response): void => {
        if (response !== undefined) resolve({ ok: true, response });
        else resolve({ ok: false, code: status[error?.code ?? status.OK], details: error?.details ?? 'empty' });
      };
      client.makeUnaryRequest(path, requestSerialize, responseDeserialize, request, metadata, options, done);
    });
  } finally {
    client.close();
  }
}

export type SignOutcome =
  | { readonly ok: true; readonly response: SignResponse; readonly key: KeyObject; readonly chainPem: string }
  | Refusal;

/** Makes a key and a request for a service account, and has it signed. */
export async function signFor(
  harness: ServerSide,
  identity: ClientIdentity,
  wanted: { readonly namespace: string; readonly serviceAccount: string },
  csrBytes?: Uint8Array,
  keys = generateKeyPairSync('ec', { namedCurve: 'P-256' }),
): Promise<SignOutcome> {
  const { privateKey, publicKey } = keys;
  const spiffeId = formatSpiffeId({ trustDomain: trustDomain(), ...wanted });
  const csr = csrBytes ?? (await buildCsr({ spiffeId, publicKey, sign: keySigner(privateKey) }));
  const request: SignRequest = create(SignRequestSchema, { csr: Uint8Array.from(csr) });
  const outcome = await callUnary(harness, identity, certificates.Sign, request);
  if (!outcome.ok) return outcome;
  const { response } = outcome;
  const chainPem = response.certificateChain.map((der) => encodePem('CERTIFICATE', der)).join('');
  return { ok: true, response, key: privateKey, chainPem };
}
