/** Requests out of a small vocabulary, so that they meet the routes. */
import fc from 'fast-check';
import type { ClientRequest, Field, RequestBody, Wire } from './case.ts';
import { defectNames } from './malformed.ts';

export const segment = fc.constantFrom('a', 'b', 'ab', 'A', 'api', 'v1', 'x.y', '~u', 'a-b');
const oddSegment = fc.constantFrom(
  ...['', '%41', '%7e', '%2d', '..', '.', '..;x', '%2e%2E', 'a\\b', '|{}', '%2a', '%2A', '%20', 'a;p=1', 'a,b', 'a:b'],
  ...[
    '@',
    '!$&()',
    '%c3%a9',
    '=',
    '+',
    '%',
    '%4',
    '%zz',
    '%00',
    '%2F',
    '%2f..',
    '%5c',
    '...',
    '.a',
    '"',
    '<',
    '^',
    '`',
    '[x]',
  ],
);
const longSegment = fc.constantFrom('n'.repeat(300), 'n'.repeat(5_000));
const path = fc
  .array(
    fc.oneof(
      { weight: 16, arbitrary: segment },
      { weight: 3, arbitrary: oddSegment },
      { weight: 1, arbitrary: longSegment },
    ),
    { maxLength: 4 },
  )
  .map((segments) => `/${segments.join('/')}`);

export const queryName = fc.constantFrom('q', 'Q', 'to', 'x');
const queryValue = fc.constantFrom(
  '',
  '1',
  'a',
  'A',
  'ab',
  '%41',
  'a+b',
  'a%20b',
  'a=b',
  'gold',
  '%',
  '%zz',
  '?',
  '/../x',
);
const query = fc
  .array(
    fc.oneof(
      fc.tuple(queryName, queryValue).map(([name, value]) => `${name}=${value}`),
      queryName,
      fc.constantFrom('', '=', '=1', 'q;x=1'),
    ),
    { maxLength: 3 },
  )
  .chain((parts) =>
    fc.constantFrom('&', '&', '&', ';').map((join) => (parts.length === 0 ? '' : `?${parts.join(join)}`)),
  );

const fieldValue = fc.constantFrom(
  ...[
    '',
    'gold',
    'Gold',
    'silver',
    'gold,silver',
    'gold, silver',
    'a b',
    '1',
    'x=1; y=2',
    '"quoted"',
    'caf\xe9',
    'a\tb',
  ],
  'v'.repeat(2_000),
);
const plainField: fc.Arbitrary<Field> = fc.tuple(
  fc.constantFrom(
    'X-Tier',
    'x-tier',
    'X-Who',
    'X-LIST',
    'Accept',
    'User-Agent',
    'Cookie',
    'X-Empty',
    'Authorization',
    'x_under',
  ),
  fieldValue,
);
/** Fields that proxies have an opinion of. */
const specialField: fc.Arbitrary<Field> = fc.constantFrom<Field[]>(
  ['Cookie', 'a=1'],
  ['Cookie', 'b=2; c=3'],
  ['X-Forwarded-For', '10.1.1.1'],
  ['X-Forwarded-Proto', 'https'],
  ['X-Forwarded-Proto', 'odd'],
  ['X-Forwarded-Host', 'outside.example'],
  ['Forwarded', 'for=10.1.1.1;proto=https'],
  ['X-Request-Id', 'own-id'],
  ['Via', '1.1 before'],
  ['Max-Forwards', '3'],
  ['Traceparent', '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01'],
  ['Content-Type', 'text/plain'],
  ['Accept-Encoding', 'gzip'],
  ['If-None-Match', '"x"'],
  ['Range', 'bytes=0-1'],
  ['Date', 'Mon, 01 Jan 2024 00:00:00 GMT'],
  ['Server', 'client'],
  ['Upgrade-Insecure-Requests', '1'],
);
/** Of one connection (RFC 9110 section 7.6.1), which HTTP/2 does not have. */
const hopField: fc.Arbitrary<Field> = fc.constantFrom<Field[]>(
  ['Connection', 'keep-alive'],
  ['Connection', 'keep-alive'],
  ['Connection', 'keep-alive'],
  ['Connection', 'X-Who'],
  ['Connection', 'close, X-Tier'],
  ['Connection', 'Keep-Alive, x-who'],
  ['Connection', 'Authorization'],
  ['Keep-Alive', 'timeout=5'],
  ['Proxy-Connection', 'keep-alive'],
  ['Proxy-Authorization', 'Basic eA=='],
  ['TE', 'trailers'],
  ['TE', 'gzip;q=0.5, trailers'],
  ['TE', 'gzip'],
  ['Trailer', 'X-Sum'],
  ['Expect', '100-continue'],
  ['Expect', '100-Continue'],
  ['Expect', 'other'],
);
const h2Field: fc.Arbitrary<Field> = fc.constantFrom<Field[]>(
  ['TE', 'trailers'],
  ['Trailer', 'x-sum'],
  ['Expect', '100-continue'],
);

const authority = fc.constantFrom(
  ...[
    'shop.example',
    'SHOP.example',
    'shop.example:80',
    'shop.example:8080',
    'inner.example',
    'a.b.example',
    'deep.shop.example',
  ],
  ...[
    '.example',
    'example',
    '127.0.0.1',
    '[::1]:80',
    'other.test',
    'other.test:8443',
    'a_b.example',
    'xn--caf-dma.example',
  ],
);
const method = fc.constantFrom(
  ...[
    'GET',
    'GET',
    'GET',
    'GET',
    'HEAD',
    'POST',
    'POST',
    'PUT',
    'DELETE',
    'OPTIONS',
    'PATCH',
    'PROPFIND',
    'TRACE',
    'X-OWN',
  ],
);

const chunk = fc.oneof(
  { weight: 8, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 30 }) },
  { weight: 1, arbitrary: fc.constantFrom('x'.repeat(5_000), '\0\xff\r\n0\r\n\r\nGET / HTTP/1.1\r\n\r\n') },
  { weight: 1, arbitrary: fc.constantFrom('y'.repeat(100_000), 'z'.repeat(70_000)) },
);
const trailers = fc.array(
  fc.constantFrom<Field[]>(['X-Sum', '1'], ['X-Sum', '2'], ['x-other', 'a b'], ['X-Empty', '']),
  { maxLength: 2 },
);
const noBody: RequestBody = { framing: 'none', chunks: [], extension: '', trailers: [] };
const someBody: fc.Arbitrary<RequestBody> = fc
  .record({
    framing: fc.constantFrom<RequestBody['framing'][]>('length', 'chunked'),
    chunks: fc.array(chunk, { maxLength: 3 }),
    extension: fc.constantFrom('', '', ';a', ';a=b', ';a="b;c"', ' ;a'),
    trailers: fc.oneof({ weight: 2, arbitrary: fc.constant([]) }, { weight: 1, arbitrary: trailers }),
  })
  .map((body) => (body.framing === 'chunked' ? body : { ...body, extension: '', trailers: [] }));

const mayHaveBody = (name: string): boolean => !['TRACE', 'HEAD'].includes(name);
const usuallyHasBody = (name: string): boolean => ['POST', 'PUT', 'PATCH', 'PROPFIND'].includes(name);

function fields(wire: Wire): fc.Arbitrary<Field[]> {
  return fc.array(
    fc.oneof(
      { weight: 6, arbitrary: plainField },
      { weight: 3, arbitrary: specialField },
      { weight: 2, arbitrary: wire === 'h1' ? hopField : h2Field },
    ),
    { maxLength: 5 },
  );
}

/** Well formed; with a body more often where the method means one. */
export const arbitraryRequest = (wire: Wire): fc.Arbitrary<ClientRequest> =>
  fc
    .record({
      method,
      path,
      query,
      authority,
      fields: fields(wire),
      body: someBody,
      bodyDice: fc.nat(9),
      version:
        wire === 'h1'
          ? fc.constantFrom<ClientRequest['version'][]>('1.1', '1.1', '1.1', '1.1', '1.1', '1.1', '1.0')
          : fc.constant<'1.1'>('1.1'),
      ending:
        wire === 'h1'
          ? fc.constantFrom<ClientRequest['ending'][]>(
              'keep',
              'keep',
              'keep',
              'keep',
              'keep',
              'keep',
              'close',
              'half-close',
            )
          : fc.constant<'keep'>('keep'),
      writes: wire === 'h1' ? fc.constantFrom(1, 1, 1, 1, 2, 5) : fc.constant(1),
    })
    .map(({ path: p, query: q, body, bodyDice, ...rest }) => {
      const has = usuallyHasBody(rest.method) ? bodyDice < 8 : mayHaveBody(rest.method) && bodyDice === 0;
      // HTTP/1.0 has no chunks (RFC 9112 section 6.1).
      const fits: RequestBody =
        rest.version === '1.0' && body.framing === 'chunked'
          ? { ...body, framing: 'length', extension: '', trailers: [] }
          : body;
      return { ...rest, target: p + q, body: has ? fits : noBody, defect: '' };
    });

/** One rule of HTTP/1 broken. */
export const arbitraryMalformed: fc.Arbitrary<ClientRequest> = fc
  .tuple(arbitraryRequest('h1'), fc.constantFrom(...defectNames))
  .map(([request, defect]) => ({
    ...request,
    defect,
    body: noBody,
    fields: request.fields.slice(0, 1),
    version: '1.1',
  }));
