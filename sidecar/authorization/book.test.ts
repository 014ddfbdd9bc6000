import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { create, fromBinary, toBinary } from '@bufbuild/protobuf';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import type { DecisionReport } from '@weft/policies/model/decision-report';
import { ReportRequestSchema, ReportResponseSchema } from '@weft/policies/wire/gen/weft/authorization/v1/decisions_pb';
import { emptyRecord, type RequestRecord } from '../telemetry/record.ts';
import { DecisionBook } from './book.ts';
import { decodeReported, encodeReport } from './messages.ts';
import { templateOf } from './paths.ts';
import { DecisionReporter } from './reporter.ts';

const identity = 'spiffe://cluster.local/ns/shop/sa/web';
const request = (overrides: Partial<RequestRecord>): RequestRecord => ({
  ...emptyRecord('inbound'),
  method: 'GET',
  authority: 'cart.shop',
  path: '/cart',
  remote: '10.1.0.7:40000',
  destination: '10.1.0.1:8080',
  sourceIdentity: identity,
  ...overrides,
});

function bookOf(...records: readonly RequestRecord[]): DecisionBook {
  const book = new DecisionBook(() => undefined);
  book.keepsFlows = true;
  for (const record of records) book.observe(record);
  return book;
}

describe('hits', () => {
  test('are told once, and counted on for the metric', () => {
    const book = bookOf();
    book.hit('shop/allow/web', 'ALLOW');
    book.hit('shop/allow/web', 'ALLOW');
    book.hit('shop/watch/0', 'AUDIT');
    assert.deepEqual(book.take().hits, [
      { rule: 'shop/allow/web', hits: 2 },
      { rule: 'shop/watch/0', hits: 1 },
    ]);
    assert.deepEqual(book.take().hits, []);
    assert.match(book.render(), /decisions_total\{policy="shop\/allow",rule="web",action="ALLOW"\} 2\n/);
  });

  test('of connections come with their record', () => {
    const book = bookOf(
      request({ protocol: 'tcp', method: '', path: '', authority: '', rule: 'shop/deny/0', flag: 'UAEX' }),
    );
    assert.deepEqual(book.take().hits, [{ rule: 'shop/deny/0', hits: 1 }]);
  });
});

describe('flows', () => {
  test('of connections that nothing takes are of callers that were not let in', () => {
    const opaque = request({ protocol: 'tcp', method: '', path: '', authority: '', sourceIdentity: '' });
    const { hits, flows } = bookOf(opaque, { ...opaque, flag: 'NR' }, { ...opaque, flag: 'DPE' }).take();
    assert.deepEqual(
      flows.map(({ denied, count }) => [denied, count]),
      [
        [false, 1],
        [true, 2],
      ],
    );
    assert.deepEqual(hits, []);
  });

  test('of one caller and one kind of request are one', () => {
    const refused = request({ sourceIdentity: '', flag: 'UAEX', path: '/cart?x=2' });
    const { flows } = bookOf(request({}), request({ path: '/cart?x=1' }), refused).take();
    assert.equal(flows.length, 2);
    assert.deepEqual(flows[0], {
      identity,
      ip: '',
      method: 'GET',
      host: 'cart.shop',
      path: '/cart',
      example: '',
      port: 8080,
      denied: false,
      count: 2,
    });
    assert.equal(flows[1]?.ip, '10.1.0.7');
    assert.equal(flows[1]?.denied, true);
    const [six] = bookOf(request({ sourceIdentity: '', remote: '[fd00::7]:40000' })).take().flows;
    assert.equal(six?.ip, 'fd00::7');
  });

  test('with too many paths are known by their template, with too many of these by none', () => {
    const ids = Array.from({ length: 1_000 }, (_, i) => request({ path: `/orders/${i}/items` }));
    const { flows } = bookOf(...ids).take();
    assert.ok(flows.length <= 50, String(flows.length));
    const template = flows.find(({ path }) => path === '/orders/{}/items');
    assert.match(template?.example ?? '', /^\/orders\/\d+\/items$/);
    assert.equal(
      flows.reduce((sum, { count }) => sum + count, 0),
      1_000,
    );
    const words = Array.from({ length: 1_000 }, (_, i) => request({ path: `/w${'x'.repeat(i % 500)}/y` }));
    assert.ok(bookOf(...words).take().flows.length <= 97);
  });

  test('have a bound, and what is beyond is counted', () => {
    const callers = Array.from({ length: 5_000 }, (_, i) => request({ sourceIdentity: `${identity}${i}` }));
    const { flows, lost } = bookOf(...callers).take();
    assert.equal(flows.length, 4_096);
    assert.equal(lost, 904);
  });
});

test('ids in paths', () => {
  assert.equal(templateOf('/a/17/b'), '/a/{}/b');
  assert.equal(templateOf('/a/550e8400-e29b-41d4-a716-446655440000'), '/a/{}');
  assert.equal(templateOf('/v1/cart/deadbeefcafe'), '/v1/cart/{}');
  assert.equal(templateOf('/v1/cart-items/administration'), '/v1/cart-items/administration');
});

test('a report is the message of its schema', () => {
  const book = bookOf(request({}), request({ path: `/é${'x'.repeat(200)}` }));
  book.hit('shop/allow/web', 'ALLOW');
  const decoded = fromBinary(ReportRequestSchema, encodeReport('node', book.take()));
  assert.equal(decoded.node, 'node');
  assert.equal(decoded.hits[0]?.rule, 'shop/allow/web');
  assert.equal(decoded.flows[0]?.count, 1n);
  assert.equal(decoded.flows[0]?.port, 8080);
  assert.equal(decoded.flows.length, 2);
  const [flow] = bookOf(request({})).take().flows;
  assert.ok(flow !== undefined);
  const history = [{ flow, hour: 490_000, heldBy: ['a', 'b'] }];
  const past = fromBinary(ReportRequestSchema, encodeReport('node', { hits: [], flows: [], lost: 0, history })).history;
  assert.equal(past[0]?.flow?.path, '/cart');
  assert.equal(past[0]?.hour, 490_000n);
  assert.deepEqual(past[0]?.heldBy, ['a', 'b']);
  const answer = toBinary(ReportResponseSchema, create(ReportResponseSchema, { instance: 'one' }));
  assert.equal(decodeReported(Buffer.from(answer)), 'one');
});

test('a report that did not get through is sent again, and nothing is sent where nothing came to pass', async () => {
  const clock = new ManualClock();
  const sent: DecisionReport[] = [];
  let fails = true;
  const full: DecisionReport = { hits: [{ rule: 'a/b/c', hits: 3 }], flows: [], lost: 0 };
  const books: DecisionReport[] = [full];
  const reporter = new DecisionReporter({
    decisions: async () => books.shift() ?? { hits: [], flows: [], lost: 0 },
    send: async (report) => {
      if (fails) throw new Error('down');
      sent.push(report);
      return '';
    },
    clock,
    prng: new SeededPrng(1),
    count: () => undefined,
  });
  reporter.start();
  for (let i = 0; i < 4; i++) {
    clock.advance(12_000);
    await new Promise((resolve) => setImmediate(resolve));
    fails = false;
  }
  assert.deepEqual(sent, [full]);
  await reporter.close();
});
