/** `authorizers` of `Mesh`: services that AuthorizationPolicies of action CUSTOM ask. */
import { z } from 'zod';
import { dnsLabel, durationBetween, port } from './formats.ts';
import { integer, mapOf, setOf, text, withRules } from './schema.ts';

const AUTHORIZERS_MAX = 16;
const HEADERS_MAX = 32;
/** What the statuses of a refusal can be in Envoy too. */
const statuses = [401, 403, 404, 429, 500, 502, 503, 504] as const;

const headerPattern = () =>
  text(/^(\*|[-!#$%&'+.^_`|~0-9A-Za-z]+\*?)$/, 'the name of a header, or the beginning of names followed by `*`', {
    min: 1,
    max: 128,
  });

const headers = (description: string) =>
  setOf(headerPattern(), { min: 1, max: HEADERS_MAX }).optional().describe(description);

const target = z.strictObject({
  kind: z
    .enum(['Service', 'ExternalService'])
    .default('Service')
    .describe('ExternalService: one with hosts that are no wildcards, or with endpoints.'),
  namespace: dnsLabel().describe('Its namespace.'),
  name: dnsLabel().describe('Its name.'),
  port: port().describe('Its port.'),
});

/** A client may send none of these names, so that they have to be told apart from its own. */
const reserved = (description: string) =>
  withRules(setOf(headerPattern(), { min: 1, max: HEADERS_MAX }), [
    {
      cel: "!self.exists(name, name == '*')",
      message: 'has to name headers or beginnings of names: those of clients are taken off, and * would be all of them',
      check: (names) => !names.includes('*'),
    },
  ])
    .optional()
    .describe(
      `${description} Of clients these names are taken off every request, also with underscores, whether the authorizer is asked or not; but for what clients send by nature, such as Authorization, Cookie and X-Forwarded-For.`,
    );

const grpc = z.strictObject({
  target: target.describe('Where it runs. Its port has to speak gRPC (`appProtocol: grpc`).'),
  headersToUpstream: reserved(
    'Headers that it sets for the application. It may set others, which clients can send too when it is not asked.',
  ),
});

const http = z.strictObject({
  target: target.describe('Where it runs.'),
  pathPrefix: text(/^\/[-A-Za-z0-9._~!$&'()*+,;=:@%/]*$/, 'a path that begins with `/`', { min: 1, max: 1024 })
    .optional()
    .describe('Put in front of the path that is asked about.'),
  headersToUpstream: reserved('Headers of its answer that the request takes over when it may pass.'),
  headersToClient: headers('Headers of its answer that the client gets when it is refused. Without it all of them.'),
  headersToClientOnSuccess: headers('Headers of its answer that are added to the response of the application.'),
});

const authorizer = withRules(
  z.strictObject({
    name: dnsLabel().describe('What policies call it.'),
    grpc: grpc.optional().describe('It speaks `envoy.service.auth.v3.Authorization`.'),
    http: http
      .optional()
      .describe('It is sent the head of each request, and lets those pass that it answers with 200.'),
    timeout: durationBetween('10ms', '30s').default('1s').describe('How long a request waits for its answer.'),
    failure: z
      .enum(['Deny', 'Allow'])
      .default('Deny')
      .describe(
        'What happens to requests that it cannot be asked about. Allow: they pass, and are told so in a header.',
      ),
    failureStatus: withRules(integer(401, 504), [
      {
        cel: `self in [${statuses.join(', ')}]`,
        message: `must be one of ${statuses.join(', ')}`,
        check: (value) => statuses.some((status) => status === value),
      },
    ])
      .default(403)
      .describe('Status of requests that are denied because it cannot be asked.'),
    requestHeaders: headers(
      'Headers of the request that it sees. Without it all by gRPC, Authorization alone by HTTP.',
    ),
    body: z
      .strictObject({
        maxBytes: integer(1, 1_048_576).describe('So much of the body is held and sent.'),
        allowPartial: z
          .boolean()
          .default(false)
          .describe('The beginning of a larger body will do. Without it such requests are answered with 413.'),
      })
      .optional()
      .describe('It sees the body too. Without it, it does not.'),
  }),
  [
    {
      cel: 'has(self.grpc) != has(self.http)',
      message: 'needs either grpc or http',
      check: (one) => (one.grpc === undefined) !== (one.http === undefined),
    },
  ],
);

export const meshAuthorizers = mapOf(authorizer, 'name', { max: AUTHORIZERS_MAX }).describe(
  'Services outside of the sidecars that decide on requests, for AuthorizationPolicies of action CUSTOM.',
);

export type Authorizer = z.output<typeof authorizer>;
