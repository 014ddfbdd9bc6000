/** Requests aimed at what a set of policies is about, so that they match or just miss it. */
import fc from 'fast-check';
import {
  fieldNames,
  fieldValues,
  grpcMethods,
  grpcServices,
  origins,
  paths,
  queryNames,
} from './arbitrary-policies.ts';
import type { Answer, Case, ClientRequest, Field, RequestBody } from './case.ts';
import type { PolicySet } from './policy-set.ts';

const noBody: RequestBody = { framing: 'none', chunks: [], extension: '', trailers: [] };
const oneOf = <T extends string | number>(...values: readonly T[]): fc.Arbitrary<T> => fc.constantFrom(...values);

const aimedPath = fc
  .tuple(oneOf(...paths), oneOf('', '', '', '/', '/b', 'b', '/v1', '/b/v2'))
  .map((parts) => parts.join(''));
const query = fc
  .array(fc.tuple(oneOf(...queryNames), oneOf(...fieldValues.filter((value) => !value.includes(' ')))), {
    maxLength: 2,
  })
  .map((all) => (all.length === 0 ? '' : `?${all.map((pair) => pair.join('=')).join('&')}`));

const fields: fc.Arbitrary<Field[]> = fc.array(
  fc.oneof(
    { weight: 6, arbitrary: fc.tuple(oneOf(...fieldNames), oneOf(...fieldValues)) },
    {
      weight: 1,
      arbitrary: fc.constantFrom<Field[]>(
        ['Cookie', 'a=1'],
        ['User-Agent', 'test'],
        ['X-New', 'own'],
        ['Idempotency-Key', 'k'],
      ),
    },
  ),
  { maxLength: 3 },
);
const originFields: fc.Arbitrary<Field[]> = fc.oneof(
  { weight: 3, arbitrary: fc.constant<Field[]>([]) },
  { weight: 1, arbitrary: oneOf(...origins).map((origin): Field[] => [['Origin', origin]]) },
);

const aimedRequest: fc.Arbitrary<ClientRequest> = fc
  .record({
    method: oneOf('GET', 'GET', 'GET', 'POST', 'PUT', 'HEAD', 'OPTIONS'),
    path: aimedPath,
    query,
    authority: oneOf('a', 'a.shop', 'a.shop:80', 'a.shop.svc.cluster.local'),
    fields,
    origin: originFields,
    preflight: fc.boolean(),
  })
  .map(({ method, path, query: asked, authority, fields: plain, origin, preflight }) => ({
    method,
    target: path + asked,
    version: '1.1',
    authority,
    fields: [
      ...plain,
      ...origin,
      ...(method === 'OPTIONS' && preflight
        ? ([
            ['Access-Control-Request-Method', 'PUT'],
            ['Access-Control-Request-Headers', 'x-a'],
          ] as const)
        : []),
    ],
    body: method === 'POST' || method === 'PUT' ? { ...noBody, framing: 'length', chunks: ['body'] } : noBody,
    ending: 'keep',
    defect: '',
    writes: 1,
  }));

const grpcRequest: fc.Arbitrary<ClientRequest> = fc
  .record({
    service: oneOf(...grpcServices),
    method: oneOf(...grpcMethods, 'get'),
    authority: oneOf('a', 'a.shop:80'),
    fields,
  })
  .map(({ service, method, authority, fields: plain }) => ({
    method: 'POST',
    target: `/${service}/${method}`,
    version: '1.1',
    authority,
    fields: [...plain, ['Content-Type', 'application/grpc'], ['TE', 'trailers']],
    body: { framing: 'chunked', chunks: ['\0\0\0\0\0'], extension: '', trailers: [] },
    ending: 'keep',
    defect: '',
    writes: 1,
  }));

const answerField: fc.Arbitrary<Field> = fc.constantFrom<Field[]>(
  ['X-New', 'old'],
  ['Set-Cookie', 'a=1'],
  ['Vary', 'Accept'],
  ['Server', 'application'],
  ['X-Again', 'yes'],
  ['Access-Control-Allow-Origin', 'https://own.example'],
);

/** Failing before they answer as applications do; late answers are few, as each takes its time. */
const aimedAnswer: fc.Arbitrary<Answer> = fc.record({
  interim: fc.constant([]),
  status: oneOf(200, 200, 200, 204, 404, 409, 429, 500, 503),
  fields: fc.uniqueArray(answerField, { maxLength: 2, selector: ([name]) => name }),
  framing: fc.constant('length'),
  chunks: fc.constantFrom<string[][]>([], ['of the application']),
  trailers: fc.constant([]),
  early: fc.constant(false),
  delayMs: fc.constantFrom(...Array.from({ length: 40 }, (_, i) => (i === 39 ? 350 : 0))),
  closing: fc.constant(false),
  fault: fc.constant(undefined),
  failures: oneOf(0, 0, 1, 1, 2, 3, 4),
  failureStatus: oneOf(500, 502, 503, 504, 409, 429),
  failure: fc.oneof(
    { weight: 5, arbitrary: fc.constant(undefined) },
    { weight: 1, arbitrary: fc.constant({ where: 'before-head', how: 'reset', code: 2 } as const) },
  ),
});
const grpcAnswer: fc.Arbitrary<Answer> = fc
  .record({ answer: aimedAnswer, code: oneOf('0', '0', '5', '14') })
  .map(({ answer, code }) => ({
    ...answer,
    status: 200,
    fields: [...answer.fields, ['Content-Type', 'application/grpc']],
    framing: 'chunked',
    chunks: ['\0\0\0\0\0'],
    trailers: [['Grpc-Status', code]],
  }));

export function policyCases(set: PolicySet): fc.Arbitrary<readonly Case[]> {
  const one: fc.Arbitrary<Case> =
    set.protocol === 'grpc'
      ? fc.record({
          request: fc.oneof({ weight: 9, arbitrary: grpcRequest }, { weight: 1, arbitrary: aimedRequest }),
          answer: grpcAnswer,
        })
      : fc.record({ request: aimedRequest, answer: aimedAnswer });
  return one.map((value) => [value]);
}
