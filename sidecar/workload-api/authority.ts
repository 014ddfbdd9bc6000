/** What the Workload API asks of the control plane's authority beside certificates. */
import { create, type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import {
  IdentifyRequestSchema,
  IdentifyResponseSchema,
  JwtBundleRequestSchema,
  JwtBundleResponseSchema,
  SignJwtRequestSchema,
  SignJwtResponseSchema,
} from '@weft/policies/wire/gen/weft/ca/v1/certificates_pb';
import { methodPaths } from '@weft/policies/wire/method-paths';
import type { ControlChannel } from '../control-channel.ts';
import type { Method } from '../grpc/call.ts';
import type { JwtAuthority } from './jwt.ts';

const TIMEOUT_MS = 10_000;

function method<Request extends DescMessage, Response extends DescMessage>(
  path: string,
  request: Request,
  response: Response,
): Method<MessageShape<Request>, MessageShape<Response>> {
  return {
    path,
    requestSerialize: (message) => Buffer.from(toBinary(request, message)),
    responseDeserialize: (bytes) => fromBinary(response, bytes),
  };
}

const identifying = method(methodPaths.identify, IdentifyRequestSchema, IdentifyResponseSchema);
const signing = method(methodPaths.signJwt, SignJwtRequestSchema, SignJwtResponseSchema);
const bundling = method(methodPaths.jwtBundle, JwtBundleRequestSchema, JwtBundleResponseSchema);

/** Whom our credential proves. */
export async function identify(channel: ControlChannel): Promise<string> {
  return (await channel.unary(identifying, create(IdentifyRequestSchema), TIMEOUT_MS)).spiffeId;
}

const textOf = (bytes: Uint8Array): string => Buffer.from(bytes).toString('utf8');

export const jwtAuthority = (channel: ControlChannel): JwtAuthority => ({
  async sign(audience) {
    const request = create(SignJwtRequestSchema, { audience: [...audience] });
    const { token, issuedUnixMs, expiresUnixMs } = await channel.unary(signing, request, TIMEOUT_MS);
    return { token, lifeMs: Number(expiresUnixMs - issuedUnixMs) };
  },
  async bundle(unknownKeyOf = '') {
    const request = create(JwtBundleRequestSchema, { unknownKeyOf });
    const { jwks, refreshSeconds, federated } = await channel.unary(bundling, request, TIMEOUT_MS);
    return {
      jwks: textOf(jwks),
      refreshMs: refreshSeconds * 1_000,
      federated: federated.map((one) => ({ trustDomain: one.trustDomain, jwks: textOf(one.jwks) })),
    };
  },
});
