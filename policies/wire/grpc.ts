import { type DescMessage, fromBinary, type MessageShape, toBinary } from '@bufbuild/protobuf';
import {
  DeltaDiscoveryRequestSchema,
  DeltaDiscoveryResponseSchema,
  DiscoveryRequestSchema,
  DiscoveryResponseSchema,
} from './gen/envoy/service/discovery/v3/discovery_pb.ts';
import { ReportRequestSchema, ReportResponseSchema } from './gen/weft/authorization/v1/decisions_pb.ts';
import {
  IdentifyRequestSchema,
  IdentifyResponseSchema,
  JwtBundleRequestSchema,
  JwtBundleResponseSchema,
  SignJwtRequestSchema,
  SignJwtResponseSchema,
  SignRequestSchema,
  SignResponseSchema,
} from './gen/weft/ca/v1/certificates_pb.ts';
import { LeaseRequestSchema, LeaseResponseSchema } from './gen/weft/quota/v1/quotas_pb.ts';
import { methodPaths } from './method-paths.ts';

/** What @grpc/grpc-js takes as a method definition, by structure: the contract does not depend on it. */
interface MethodDefinition<Request, Response> {
  readonly path: string;
  readonly requestStream: boolean;
  readonly responseStream: boolean;
  readonly requestSerialize: (value: Request) => Buffer;
  readonly requestDeserialize: (bytes: Buffer) => Request;
  readonly responseSerialize: (value: Response) => Buffer;
  readonly responseDeserialize: (bytes: Buffer) => Response;
}

const serialize =
  <Desc extends DescMessage>(schema: Desc) =>
  (message: MessageShape<Desc>): Buffer => {
    const bytes = toBinary(schema, message);
    return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  };

const deserialize =
  <Desc extends DescMessage>(schema: Desc) =>
  (bytes: Buffer): MessageShape<Desc> =>
    fromBinary(schema, bytes);

const method = <Request extends DescMessage, Response extends DescMessage>(
  path: string,
  streams: boolean,
  request: Request,
  response: Response,
): MethodDefinition<MessageShape<Request>, MessageShape<Response>> => ({
  path,
  requestStream: streams,
  responseStream: streams,
  requestSerialize: serialize(request),
  requestDeserialize: deserialize(request),
  responseSerialize: serialize(response),
  responseDeserialize: deserialize(response),
});

/** Aggregated Discovery Service: every resource type on one stream. */
export const aggregatedDiscovery = {
  StreamAggregatedResources: method(
    methodPaths.streamAggregatedResources,
    true,
    DiscoveryRequestSchema,
    DiscoveryResponseSchema,
  ),
  DeltaAggregatedResources: method(
    methodPaths.deltaAggregatedResources,
    true,
    DeltaDiscoveryRequestSchema,
    DeltaDiscoveryResponseSchema,
  ),
} as const;

/** The certificate authority. */
export const certificates = {
  Sign: method(methodPaths.sign, false, SignRequestSchema, SignResponseSchema),
  Identify: method(methodPaths.identify, false, IdentifyRequestSchema, IdentifyResponseSchema),
  SignJwt: method(methodPaths.signJwt, false, SignJwtRequestSchema, SignJwtResponseSchema),
  JwtBundle: method(methodPaths.jwtBundle, false, JwtBundleRequestSchema, JwtBundleResponseSchema),
} as const;

/** Leases of limits that the pods of a workload share. */
export const quotas = {
  Lease: method(methodPaths.lease, false, LeaseRequestSchema, LeaseResponseSchema),
} as const;

/** What rules of AuthorizationPolicies did. */
export const decisions = {
  Report: method(methodPaths.report, false, ReportRequestSchema, ReportResponseSchema),
} as const;
