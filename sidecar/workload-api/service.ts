/** The SPIFFE Workload API: X.509-SVIDs, JWT-SVIDs and bundles for whoever may be told. */
import { create, type DescMessage, fromBinary, type JsonObject, type MessageShape, toBinary } from '@bufbuild/protobuf';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Clock } from '@weft/policies/kit/clock';
import { errorText } from '@weft/policies/kit/error-text';
import {
  JWTBundlesRequestSchema,
  JWTBundlesResponseSchema,
  JWTSVIDRequestSchema,
  JWTSVIDResponseSchema,
  ValidateJWTSVIDRequestSchema,
  ValidateJWTSVIDResponseSchema,
  X509BundlesRequestSchema,
  X509BundlesResponseSchema,
  X509SVIDRequestSchema,
  X509SVIDResponseSchema,
} from '@weft/policies/wire/gen/spiffe/workload/workload_pb';
import { GrpcCode } from '../http/grpc-status.ts';
import type { KeyMaterial } from '../identity/material.ts';
import type { PeerCredentials } from '../net/peer-credentials.ts';
import { isSameProcess } from '../net/process-start.ts';
import { bundlesOf, derOf, trustDomainOf } from './bundles.ts';
import type { ServerCall } from './grpc-call.ts';
import type { Handler } from './grpc-server.ts';
import type { JwtSvids } from './jwt.ts';

/** The identity that is handed out; made at the first question for it. */
export interface HandedOut {
  /** Undefined: not issued yet. */
  material(): KeyMaterial | undefined;
  onChange(listener: () => void): () => void;
}

export interface WorkloadApiParts {
  readonly spiffeId: SpiffeId;
  readonly handedOut: HandedOut;
  readonly jwt: JwtSvids;
  readonly clock: Clock;
  /** Who may be told, by user. */
  readonly isAllowed: (peer: PeerCredentials) => boolean;
  readonly log: (line: string) => void;
  readonly count: (event: string) => void;
}

const SERVICE = '/SpiffeWorkloadAPI/';
/** What is under way is waited for; whoever has nothing by then is told to ask again. */
const FIRST_WAIT_MS = 5_000;
const AUDIENCES_MAX = 16;

export function workloadApiHandlers(parts: WorkloadApiParts): ReadonlyMap<string, Handler> {
  const handlers: Readonly<Record<string, Handler>> = {
    FetchX509SVID: request(X509SVIDRequestSchema, (call) =>
      follow(parts, call, (material) => encode(X509SVIDResponseSchema, x509Svid(material))),
    ),
    FetchX509Bundles: request(X509BundlesRequestSchema, (call) =>
      follow(parts, call, (material) => encode(X509BundlesResponseSchema, x509Bundles(material))),
    ),
    FetchJWTSVID: request(JWTSVIDRequestSchema, (call, message) => {
      const { audience, spiffeId } = message;
      if (audience.length === 0) call.end(GrpcCode.invalidArgument, 'audience must be specified');
      else if (audience.length > AUDIENCES_MAX)
        call.end(GrpcCode.invalidArgument, `more than ${AUDIENCES_MAX} audiences`);
      else if (spiffeId !== '' && spiffeId !== parts.spiffeId)
        call.end(GrpcCode.permissionDenied, `this workload is not ${spiffeId}`);
      else fetchJwt(parts, call, audience);
    }),
    FetchJWTBundles: request(JWTBundlesRequestSchema, (call) => followKeys(parts, call)),
    ValidateJWTSVID: request(ValidateJWTSVIDRequestSchema, (call, { audience, svid }) => {
      if (audience === '' || svid === '') call.end(GrpcCode.invalidArgument, 'audience and svid must be specified');
      else validateJwt(parts, call, svid, audience);
    }),
  };
  return new Map(
    Object.entries(handlers).map(([name, handler]) => [
      SERVICE + name,
      (call, bytes) => {
        const refused = refusal(parts, call);
        if (refused === undefined) handler(call, bytes);
        else call.end(refused.code, refused.message);
      },
    ]),
  );
}

/** Workload Endpoint section 4 wants the header, so that no browser or careless proxy can ask in somebody's place. */
function refusal(
  { isAllowed, count, log }: WorkloadApiParts,
  { metadata, peer }: ServerCall,
): { readonly code: number; readonly message: string } | undefined {
  if (metadata.get('workload.spiffe.io') !== 'true')
    return {
      code: GrpcCode.invalidArgument,
      message: 'security header missing from request: workload.spiffe.io: true',
    };
  const who = `user ${peer.uid}, group ${peer.gid}, process ${peer.pid}`;
  if (!isAllowed(peer)) {
    count('workload_api.denied');
    log(`workload API: refused ${who}`);
    return { code: GrpcCode.permissionDenied, message: `no identity issued: user ${peer.uid} is not allowed` };
  }
  // The connection was handed on, and whoever made it is gone.
  if (!isSameProcess(peer)) {
    count('workload_api.denied');
    return { code: GrpcCode.permissionDenied, message: 'no identity issued: the process that connected has ended' };
  }
  return undefined;
}

function request<Request extends DescMessage>(
  schema: Request,
  answer: (call: ServerCall, message: MessageShape<Request>) => void,
): Handler {
  return (call, bytes) => {
    let message: MessageShape<Request>;
    try {
      message = fromBinary(schema, bytes);
    } catch {
      call.end(GrpcCode.invalidArgument, 'the request cannot be read');
      return;
    }
    answer(call, message);
  };
}

const encode = <Desc extends DescMessage>(schema: Desc, init: Parameters<typeof create<Desc>>[1]): Uint8Array =>
  toBinary(schema, create(schema, init));

/** Sends what there is, and again whenever it changes, until the caller goes. */
function follow(parts: WorkloadApiParts, call: ServerCall, encoded: (material: KeyMaterial) => Uint8Array): void {
  const { handedOut, clock } = parts;
  const current = (): KeyMaterial | undefined => {
    const material = handedOut.material();
    return material === undefined || material.notAfterUnixMs <= clock.unixMs() ? undefined : material;
  };
  let sent = false;
  const tell = (): void => {
    const material = current();
    if (material === undefined) return;
    sent = true;
    call.send(encoded(material));
  };
  call.onEnd(handedOut.onChange(tell));
  tell();
  if (sent) return;
  const cancel = clock.after(FIRST_WAIT_MS, () => {
    // Workload Endpoint section 6: who is told PermissionDenied may give up for good; this one has only to ask again.
    if (!sent) call.end(GrpcCode.unavailable, 'the control plane has signed no certificate yet; ask again');
  });
  call.onEnd(cancel);
}

function followKeys({ jwt, clock }: WorkloadApiParts, call: ServerCall): void {
  let sent = false;
  const stop = jwt.watch((keySets) => {
    sent = true;
    const entries = Object.entries(keySets).map(
      ([domain, jwks]) => [domain, Uint8Array.from(Buffer.from(jwks))] as const,
    );
    const bundles = Object.fromEntries(entries);
    call.send(encode(JWTBundlesResponseSchema, { bundles }));
  });
  call.onEnd(stop);
  if (sent) return;
  const cancel = clock.after(FIRST_WAIT_MS, () => {
    if (!sent) call.end(GrpcCode.unavailable, 'the control plane has given no keys yet; ask again');
  });
  call.onEnd(cancel);
}

function x509Svid(material: KeyMaterial) {
  const { own, federated } = bundlesOf(material);
  const svid = {
    spiffeId: material.spiffeId,
    x509Svid: derOf(material.chainPem),
    x509SvidKey: material.key.export({ type: 'pkcs8', format: 'der' }),
    bundle: own,
  };
  return { svids: [svid], federatedBundles: federated };
}

function x509Bundles(material: KeyMaterial) {
  const { own, federated } = bundlesOf(material);
  return { bundles: { ...federated, [trustDomainOf(material.spiffeId)]: own } };
}

function fetchJwt({ jwt, spiffeId, log }: WorkloadApiParts, call: ServerCall, audience: readonly string[]): void {
  jwt.fetch(audience).then(
    (svid) => {
      call.send(encode(JWTSVIDResponseSchema, { svids: [{ spiffeId, svid }] }));
      call.end(GrpcCode.ok);
    },
    (error: unknown) => {
      const reason = errorText(error);
      log(`workload API: no JWT-SVID: ${reason}`);
      call.end(GrpcCode.unavailable, `no JWT-SVID: ${reason}`);
    },
  );
}

function validateJwt({ jwt, log }: WorkloadApiParts, call: ServerCall, svid: string, audience: string): void {
  jwt.validate(svid, audience).then(
    (valid) => {
      if (!valid.ok) {
        call.end(GrpcCode.invalidArgument, valid.error);
        return;
      }
      const { value } = valid;
      // Through JSON, since that is what claims are.
      const claims = JSON.parse(JSON.stringify(value)) as JsonObject;
      call.send(encode(ValidateJWTSVIDResponseSchema, { spiffeId: value.sub, claims }));
      call.end(GrpcCode.ok);
    },
    (error: unknown) => {
      const reason = errorText(error);
      log(`workload API: no keys: ${reason}`);
      call.end(GrpcCode.unavailable, `the keys that it would be looked at with are not known: ${reason}`);
    },
  );
}
