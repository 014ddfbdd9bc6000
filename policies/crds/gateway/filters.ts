/** What a rule of an HTTPRoute does to requests and responses. */
import { z } from 'zod';
import { apiGroup, headerName, httpMethods, kindName, port, preciseHostname } from '../formats.ts';
import { integer, listOf, mapOf, type Rule, setOf, text, withRules } from '../schema.ts';
import { backendObjectRef } from './refs.ts';

const header = z.strictObject({
  name: headerName().describe('Name of the header, in any case.'),
  value: z.string().min(1).max(4096).describe('Its value.'),
});

export const headerModifier = z.strictObject({
  set: mapOf(header, 'name', { max: 16 }).optional().describe('Headers whose values are replaced.'),
  add: mapOf(header, 'name', { max: 16 }).optional().describe('Headers to which a value is added.'),
  remove: setOf(z.string(), { max: 16 }).optional().describe('Names of headers that are removed.'),
});

interface PathModifier {
  readonly type: 'ReplaceFullPath' | 'ReplacePrefixMatch';
  readonly replaceFullPath?: string | undefined;
  readonly replacePrefixMatch?: string | undefined;
}

function pathModifierRule(type: PathModifier['type'], field: 'replaceFullPath' | 'replacePrefixMatch') {
  return [
    {
      cel: `self.type == '${type}' ? has(self.${field}) : true`,
      message: `type ${type} needs ${field}; set it`,
      path: [field],
      check: (value: PathModifier) => value.type !== type || value[field] !== undefined,
    },
    {
      cel: `has(self.${field}) ? self.type == '${type}' : true`,
      message: `${field} needs type ${type}; remove it or change the type`,
      path: [field],
      check: (value: PathModifier) => value[field] === undefined || value.type === type,
    },
  ];
}

const pathModifier = withRules(
  z.strictObject({
    type: z.enum(['ReplaceFullPath', 'ReplacePrefixMatch']).describe('What is replaced.'),
    replaceFullPath: z.string().max(1024).optional().describe('The new path.'),
    replacePrefixMatch: z.string().max(1024).optional().describe('What takes the place of the prefix that matched.'),
  }),
  [
    ...pathModifierRule('ReplaceFullPath', 'replaceFullPath'),
    ...pathModifierRule('ReplacePrefixMatch', 'replacePrefixMatch'),
  ],
);

const redirectStatus = [301, 302, 303, 307, 308] as const;

const requestRedirect = z.strictObject({
  scheme: z.enum(['http', 'https']).optional().describe('Scheme of the new location, by default that of the request.'),
  hostname: preciseHostname().optional().describe('Host of the new location, by default that of the request.'),
  path: pathModifier.optional().describe('Path of the new location, by default that of the request.'),
  port: port().optional().describe('Port of the new location.'),
  statusCode: z.literal(redirectStatus).default(302).describe('Status of the answer.'),
});

const urlRewrite = z.strictObject({
  hostname: preciseHostname().optional().describe('The host that the backend sees.'),
  path: pathModifier.optional().describe('The path that the backend sees.'),
});

const fraction = withRules(
  z.strictObject({
    numerator: integer(0, 2_147_483_647).describe('How many of `denominator` requests.'),
    denominator: integer(1, 2_147_483_647).default(100).describe('Of how many requests.'),
  }),
  [
    {
      cel: 'self.numerator <= self.denominator',
      message: 'numerator must not exceed denominator',
      path: ['numerator'],
      check: (value) => value.numerator <= value.denominator,
    },
  ],
);

export const requestMirror = withRules(
  z.strictObject({
    backendRef: backendObjectRef.describe('Where copies go; their answers are dropped.'),
    percent: integer(0, 100).optional().describe('Share of the requests that is copied.'),
    fraction: fraction.optional().describe('Share of the requests that is copied, as a fraction.'),
  }),
  [
    {
      cel: '!(has(self.percent) && has(self.fraction))',
      message: 'set only one of percent and fraction',
      path: ['fraction'],
      check: (value) => value.percent === undefined || value.fraction === undefined,
    },
  ],
);

/** `*` stands for everything, so that nothing may stand beside it. */
function wildcardAlone<S extends z.ZodArray<z.ZodType<string>>>(schema: S): S {
  return withRules(schema, [
    {
      cel: "!('*' in self && size(self) > 1)",
      message: "'*' stands for all; remove the other entries, or '*'",
      check: (values) => values.length < 2 || !values.some((value) => value === '*'),
    },
  ]);
}

const corsOrigin = () =>
  text(
    /(^\*$)|(^(http(s)?):\/\/(((\*\.)?([a-zA-Z0-9-]+\.)*[a-zA-Z0-9-]+|\*)(:([0-9]{1,5}))?)$)/,
    'an origin such as `https://shop.example.com`, or `*`',
    { min: 1, max: 253 },
  );

const cors = z.strictObject({
  allowOrigins: wildcardAlone(setOf(corsOrigin(), { max: 64 }))
    .optional()
    .describe('Origins whose pages may read answers.'),
  allowCredentials: z.boolean().optional().describe('Whether requests may carry credentials.'),
  allowMethods: wildcardAlone(setOf(z.enum([...httpMethods, '*']), { max: 9 }))
    .optional()
    .describe('Methods that are allowed.'),
  allowHeaders: wildcardAlone(setOf(headerName(), { max: 64 }))
    .optional()
    .describe('Request headers that are allowed.'),
  exposeHeaders: setOf(headerName(), { max: 64 }).optional().describe('Response headers that a page may read.'),
  maxAge: integer(1, 2_147_483_647).default(5).describe('Seconds for which a browser keeps the answer to a preflight.'),
});

export const extensionRef = z.strictObject({
  group: apiGroup().describe('API group of the extension.'),
  kind: kindName().describe('Kind of the extension.'),
  name: z.string().min(1).max(253).describe('Name of the extension.'),
});

const filterFields = {
  RequestHeaderModifier: 'requestHeaderModifier',
  ResponseHeaderModifier: 'responseHeaderModifier',
  RequestMirror: 'requestMirror',
  RequestRedirect: 'requestRedirect',
  URLRewrite: 'urlRewrite',
  ExtensionRef: 'extensionRef',
  CORS: 'cors',
} as const;

type FilterType = keyof typeof filterFields;

const filterTypes = [
  'RequestHeaderModifier',
  'ResponseHeaderModifier',
  'RequestMirror',
  'RequestRedirect',
  'URLRewrite',
  'ExtensionRef',
  'CORS',
] as const satisfies readonly FilterType[];

const filterSchema = z.strictObject({
  type: z.enum(filterTypes).describe('What the filter does; the field of the same name says how.'),
  requestHeaderModifier: headerModifier.optional().describe('Changes request headers.'),
  responseHeaderModifier: headerModifier.optional().describe('Changes response headers.'),
  requestMirror: requestMirror.optional().describe('Sends copies of requests to another backend.'),
  requestRedirect: requestRedirect.optional().describe('Answers with a redirect.'),
  urlRewrite: urlRewrite.optional().describe('Changes host or path on the way to the backend.'),
  cors: cors.optional().describe('Answers preflights and adds CORS headers.'),
  extensionRef: extensionRef.optional().describe('An extension of the implementation.'),
});

/** The field of a filter is that of its type, and no other. */
export function unionRules<Type extends FilterType>(
  types: readonly Type[],
): Rule<{ readonly type: FilterType } & { readonly [Field in (typeof filterFields)[Type]]?: unknown }>[] {
  return types.flatMap((type) => {
    const field = filterFields[type];
    return [
      {
        cel: `!(has(self.${field}) && self.type != '${type}')`,
        message: `${field} needs type ${type}; remove it or change the type`,
        path: [field],
        check: (value) => value[field] === undefined || value.type === type,
      },
      {
        cel: `!(!has(self.${field}) && self.type == '${type}')`,
        message: `type ${type} needs ${field}; set it`,
        path: [field],
        check: (value) => value[field] !== undefined || value.type !== type,
      },
    ];
  });
}

const filter = withRules(filterSchema, unionRules(filterTypes));

export const filterOnce = (type: FilterType): Rule<readonly { readonly type: FilterType }[]> => ({
  cel: `self.filter(f, f.type == '${type}').size() <= 1`,
  message: `filter ${type} may occur once; merge the two`,
  check: (list) => list.filter((one) => one.type === type).length <= 1,
});

/** Specification: these make no sense twice in one rule. */
const once = ['CORS', 'RequestHeaderModifier', 'ResponseHeaderModifier', 'RequestRedirect', 'URLRewrite'] as const;

export const filters = withRules(listOf(filter, { max: 16 }), [
  {
    cel: "!(self.exists(f, f.type == 'RequestRedirect') && self.exists(f, f.type == 'URLRewrite'))",
    message: 'RequestRedirect and URLRewrite exclude each other; remove one of them',
    check: (list) =>
      !(list.some((one) => one.type === 'RequestRedirect') && list.some((one) => one.type === 'URLRewrite')),
  },
  ...once.map(filterOnce),
]);

export type Filters = z.output<typeof filters>;
