/** What applications answer, and how they fail. */
import { constants } from 'node:http2';
import fc from 'fast-check';
import type { Answer, Fault, Field } from './case.ts';

const status = fc.constantFrom(
  ...[
    200, 200, 200, 200, 201, 202, 203, 204, 206, 299, 301, 302, 304, 400, 401, 404, 409, 418, 429, 451, 500, 501, 502,
    503, 504, 599,
  ],
);
const field: fc.Arbitrary<Field> = fc.constantFrom<Field[]>(
  ['x-MiXed', 'Kept'],
  ['Set-Cookie', 'a=1'],
  ['Set-Cookie', 'b=2; Path=/'],
  ['X-New', 'old'],
  ['Server', 'application'],
  ['Date', 'Mon, 01 Jan 2024 00:00:00 GMT'],
  ['Via', '1.1 inner'],
  ['Content-Type', 'text/plain; charset=utf-8'],
  ['ETag', 'W/"1"'],
  ['Location', '/elsewhere'],
  ['Location', 'http://inner.example/x'],
  ['Retry-After', '1'],
  ['X-Empty', ''],
  ['X-Odd', 'caf\xe9\tx'],
  ['X-Long', 'l'.repeat(3_000)],
  ['Vary', 'Accept'],
  ['Vary', 'Cookie'],
  ['Cache-Control', 'no-cache'],
  ['WWW-Authenticate', 'Basic realm="x"'],
  ['Alt-Svc', 'h3=":443"'],
  ['X-Request-Id', 'of-application'],
  ['x_under', '1'],
  ['Trailer', 'X-Sum'],
);
const chunk = fc.oneof(
  { weight: 10, arbitrary: fc.string({ unit: 'binary-ascii', maxLength: 40 }) },
  { weight: 1, arbitrary: fc.constantFrom('r'.repeat(20_000), 's'.repeat(100_000)) },
);
const trailer = fc.constantFrom<Field[]>(['X-Sum', '1'], ['X-Sum', '2'], ['x-Other', 'a b'], ['Grpc-Status', '0']);

const fault: fc.Arbitrary<Fault> = fc.record({
  where: fc.constantFrom<Fault['where'][]>('before-head', 'before-head', 'mid-head', 'after-head', 'mid-body'),
  how: fc.constantFrom<Fault['how'][]>('close', 'reset', 'reset', 'goaway'),
  code: fc.constantFrom(
    constants.NGHTTP2_INTERNAL_ERROR,
    constants.NGHTTP2_CANCEL,
    constants.NGHTTP2_REFUSED_STREAM,
    constants.NGHTTP2_PROTOCOL_ERROR,
    constants.NGHTTP2_NO_ERROR,
  ),
});
const rarely = <T>(weight: number, what: fc.Arbitrary<T>): fc.Arbitrary<T | undefined> =>
  fc.oneof({ weight, arbitrary: fc.constant(undefined) }, { weight: 1, arbitrary: what });

/** A body that is there, so that the middle of it is somewhere. */
const withSubstance = (answer: Answer): Answer =>
  answer.fault === undefined && answer.failure === undefined
    ? answer
    : {
        ...answer,
        framing: answer.framing === 'close' ? 'length' : answer.framing,
        chunks: [...answer.chunks, 'some of a body'],
      };

/** 304 and 204 mean no body (RFC 9110 sections 15.3.5 and 15.4.5): a fault in one would be none. */
const withFittingStatus = (answer: Answer): Answer =>
  answer.fault !== undefined && (answer.status === 204 || answer.status === 304) ? { ...answer, status: 200 } : answer;

export const arbitraryAnswer: fc.Arbitrary<Answer> = fc
  .record({
    interim: fc.constantFrom<number[][]>([], [], [], [], [], [], [], [103], [102, 103], [100]),
    status,
    fields: fc.array(field, { maxLength: 4 }),
    framing: fc.constantFrom<Answer['framing'][]>('length', 'length', 'length', 'chunked', 'chunked', 'close'),
    chunks: fc.array(chunk, { maxLength: 3 }),
    trailers: fc.oneof(
      { weight: 2, arbitrary: fc.constant([]) },
      { weight: 1, arbitrary: fc.array(trailer, { maxLength: 2 }) },
    ),
    early: fc.constantFrom(...Array.from({ length: 20 }, (_, i) => i === 19)),
    delayMs: fc.constantFrom(...Array.from({ length: 60 }, (_, i) => (i === 59 ? 450 : i === 58 ? 30 : 0))),
    closing: fc.constantFrom(...Array.from({ length: 10 }, (_, i) => i === 9)),
    fault: rarely(12, fault),
    failures: fc.constantFrom(0, 0, 0, 1, 1, 2, 3),
    failureStatus: fc.constantFrom(500, 502, 503, 504, 409, 429),
    failure: rarely(2, fault),
  })
  .map((answer) => (answer.failures === 0 ? { ...answer, failure: undefined } : answer))
  .map(withFittingStatus)
  .map(withSubstance);
