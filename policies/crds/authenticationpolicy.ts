/** `AuthenticationPolicy`: how a workload finds out who calls it, by mesh certificate and by token. */
import { z } from 'zod';
import { durationBetween, headerName, port } from './formats.ts';
import { listOf, mapOf, setOf, text, withRules } from './schema.ts';
import { selector } from './workload.ts';

const mtlsModes = ['STRICT', 'PERMISSIVE', 'DISABLED'] as const;

const mode = () => z.enum(mtlsModes);

const inlineCharsMax = 65_536;

/** What a JSON Web Key Set says of itself (RFC 7517 section 5); whether a key is of use is found where it is used. */
function isKeySet(value: string): boolean {
  try {
    const parsed: unknown = JSON.parse(value);
    return typeof parsed === 'object' && parsed !== null && 'keys' in parsed && Array.isArray(parsed.keys);
  } catch {
    return false;
  }
}

const inlineKeys = withRules(z.string().min(2).max(inlineCharsMax), [
  // CEL reads no JSON.
  { message: 'must be a JSON Web Key Set: an object with a list `keys`', check: isKeySet },
]);

/** Plain HTTP is for what does not leave the cluster: names that only its own DNS answers. */
const uri = text(
  /^(https:\/\/[A-Za-z0-9.[\]:-]+|http:\/\/[a-z0-9-]+\.[a-z0-9-]+\.svc(\.[a-z0-9.-]+)?(:[0-9]{1,5})?)(\/[^\s#]*)?$/,
  'an https URL, or an http URL of a Service in the cluster, such as `http://keys.auth.svc/jwks.json`',
  { min: 9, max: 2048 },
);

const jwks = withRules(
  z.strictObject({
    uri: uri
      .optional()
      .describe(
        'Where the keys are fetched from, by the control plane. The last good ones are kept while that cannot be reached.',
      ),
    inline: inlineKeys.optional().describe('The keys themselves, as JSON.'),
  }),
  [
    {
      cel: 'has(self.uri) != has(self.inline)',
      message: 'needs exactly one of uri and inline',
      check: (value) => (value.uri === undefined) !== (value.inline === undefined),
    },
  ],
);

const name = (expected: string) => text(/^[A-Za-z0-9!#$%&'*+\-.^_\x60|~]+$/, expected, { min: 1, max: 256 });

const location = withRules(
  z.strictObject({
    header: headerName().optional().describe('A request header.'),
    prefix: text(/^[\x20-\x7e]+$/, 'printable ASCII', { min: 1, max: 64 })
      .optional()
      .describe('What stands before the token in the header, such as `Bearer `. Other values are not looked at.'),
    query: name('a query parameter').optional().describe('A query parameter.'),
    cookie: name('a cookie name').optional().describe('A cookie.'),
  }),
  [
    {
      cel: '(has(self.header) ? 1 : 0) + (has(self.query) ? 1 : 0) + (has(self.cookie) ? 1 : 0) == 1',
      message: 'needs exactly one of header, query and cookie',
      check: ({ header, query, cookie }) => [header, query, cookie].filter((one) => one !== undefined).length === 1,
    },
    {
      cel: '!has(self.prefix) || has(self.header)',
      message: 'a prefix is of a header',
      path: ['prefix'],
      check: ({ header, prefix }) => prefix === undefined || header !== undefined,
    },
  ],
);

/** Headers that decide where a request goes and who sends it: not for claims to write. */
const claimHeader = withRules(headerName(), [
  {
    cel: "!(self.lowerAscii() in ['host', 'authorization', 'connection', 'content-length', 'transfer-encoding', 'te', 'upgrade', 'cookie', 'forwarded']) && !self.lowerAscii().startsWith('x-forwarded-')",
    message: 'this header has a meaning of its own; choose another name, such as `x-jwt-sub`',
    check: (value) => !reserved.has(value.toLowerCase()) && !value.toLowerCase().startsWith('x-forwarded-'),
  },
]);

const reserved: ReadonlySet<string> = new Set([
  'host',
  'authorization',
  'connection',
  'content-length',
  'transfer-encoding',
  'te',
  'upgrade',
  'cookie',
  'forwarded',
]);

const issuerRule = z.strictObject({
  issuer: text(/^\S(.*\S)?$/, 'an issuer, as the `iss` of its tokens', { min: 1, max: 1024 }).describe(
    'The `iss` of the tokens. Keys of one issuer never verify tokens of another.',
  ),
  audiences: setOf(z.string().min(1).max(512), { min: 1, max: 16 })
    .optional()
    .describe('Of which a token has to name one. Without them, any audience will do.'),
  jwks: jwks.describe('The keys of the issuer.'),
  from: listOf(location, { min: 1, max: 8 })
    .default([{ header: 'Authorization', prefix: 'Bearer ' }])
    .describe('Where tokens are looked for. All that are found have to hold.'),
  forward: z
    .boolean()
    .default(false)
    .describe('Whether the application gets the token too. Otherwise it is taken off the request.'),
  claimsToHeaders: mapOf(
    z.strictObject({
      header: claimHeader.describe('The header, which nobody else can set: what comes from outside is taken off.'),
      claim: text(/^[^\s.]+(\.[^\s.]+)*$/, 'a claim, `.` leads into an object', { min: 1, max: 256 }).describe(
        'The claim whose value goes there; a list or an object as base64url of its JSON.',
      ),
    }),
    'header',
    { max: 16 },
  )
    .optional()
    .describe('Claims that the application gets as headers.'),
  clockSkew: durationBetween('1s', '5m')
    .default('1m')
    .describe('How far clocks may be apart in `exp` and `nbf`, in whole seconds.'),
});

/** What a policy sets for a workload: of the policies that are for it one keeps a field. */
const settings = {
  mtls: z
    .strictObject({
      mode: mode().describe(
        'STRICT takes mutual TLS of the mesh alone. PERMISSIVE takes plaintext, and TLS of the application itself, too. DISABLED takes nothing else, and callers in the mesh are told so.',
      ),
    })
    .optional()
    .describe('What connections are taken. Without it, what the Mesh says.'),
  ports: mapOf(
    z.strictObject({
      port: port().describe('A port of the pod, not of its Service.'),
      mode: mode().describe('For this port.'),
    }),
    'port',
    { min: 1, max: 64 },
  )
    .optional()
    .describe('Ports where it is different.'),
  jwt: mapOf(issuerRule, 'issuer', { min: 1, max: 8 })
    .optional()
    .describe(
      'Tokens that are checked. A bad one is refused with 401; a request without any passes, and AuthorizationPolicies decide.',
    ),
};

export type AuthenticationPolicyField = keyof typeof settings;

export const authenticationPolicyFields = Object.keys(settings) as readonly AuthenticationPolicyField[];

export const authenticationPolicySpec = withRules(
  z.strictObject({
    selector: selector
      .optional()
      .describe('The workloads that it is for. Without it, all of the namespace; in the namespace of the mesh, all.'),
    ...settings,
  }),
  [
    {
      cel: authenticationPolicyFields.map((field) => `has(self.${field})`).join(' || '),
      message: `does nothing; set one of ${authenticationPolicyFields.join(', ')}`,
      check: (spec) => authenticationPolicyFields.some((field) => spec[field] !== undefined),
    },
  ],
).describe(
  'The desired authentication. For each field the most specific policy counts: of the workload, of the namespace, of the mesh; of two at one level the older, and the other is marked Conflicted.',
);
