import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { always, type Fraction } from '@weft/policies/model/fraction';
import type { Mirror, MirrorDiff } from '@weft/policies/model/mirror';
import type { ForwardAction } from '@weft/policies/model/route';
import { Headers } from '../../http/headers.ts';
import type { TallyFamily, TallyLabels } from '../../telemetry/tallies.ts';
import { forwardTo, routes, testCluster, testEndpoint, testHcm, World } from '../testing.ts';
import { MIRROR_HELD_BYTES_MAX } from './request.ts';
import { shadowHost } from './shadow.ts';

const to = (cluster: string, share: Fraction = always): Mirror => ({ cluster, share, keepsHost: false });
const everything: MirrorDiff = { headers: ['x-version'], ignoresBody: false, bodyBytesMax: 1024 };

function shop(overrides: Partial<ForwardAction>) {
  const world = new World(5);
  const tallies: [TallyFamily, TallyLabels][] = [];
  const notes: object[] = [];
  Object.assign(world.recorder, {
    tally: (family: TallyFamily, labels: TallyLabels) => tallies.push([family, labels]),
    note: (line: object) => notes.push(line),
  });
  for (const [i, name] of ['shop', 'copy', 'third'].entries()) {
    world.source.cluster(testCluster(name));
    world.source.assignment(name, [testEndpoint(`10.0.0.${i + 1}`, 80)]);
  }
  const [server, copy, third] = [1, 2, 3].map((i) => world.server(`10.0.0.${i}`, 80));
  assert.ok(server !== undefined && copy !== undefined && third !== undefined);
  const dispatch = world.dispatch(testHcm({ kind: 'inline', config: routes('r', forwardTo('shop', overrides)) }));
  const send = (head: Parameters<World['send']>[1] = {}, body?: readonly string[]) => world.send(dispatch, head, body);
  const tallied = (family: TallyFamily) => tallies.filter(([one]) => one === family).map(([, labels]) => labels);
  return { world, server, copy, third, send, tallied, notes };
}

describe('mirrors', () => {
  test('a copy goes out with the changes of the route, and its host is marked', () => {
    const { world, send, server, copy, tallied } = shop({
      mirrors: [to('copy')],
      pathRewrite: { kind: 'full', value: '/new' },
    });
    const exchange = send({ method: 'POST', authority: 'shop.example:8080', path: '/old' }, ['hel', 'lo']);
    world.clock.advance(1);
    assert.equal(exchange.body, 'ok');
    assert.equal(server.requests[0]?.body, 'hello');
    assert.equal(copy.requests[0]?.body, 'hello');
    assert.equal(copy.requests[0]?.head.authority, 'shop.example-shadow:8080');
    assert.equal(copy.requests[0]?.head.path, '/new');
    assert.equal(server.requests[0]?.head.authority, 'shop.example:8080');
    assert.deepEqual(tallied('weft_mirror_requests_total'), [
      { route: 'ns/route/rule-0', backend: 'copy', outcome: 'answered', response_code: 200 },
    ]);
    assert.equal(world.recorder.records.length, 1);
  });

  test('several, and one that keeps the host', () => {
    const { world, send, copy, third } = shop({ mirrors: [to('copy'), { ...to('third'), keepsHost: true }] });
    send();
    world.clock.advance(1);
    assert.equal(copy.requests.length, 1);
    assert.equal(third.requests[0]?.head.authority, 'shop.example');
  });

  test('a share of the requests', () => {
    const { world, send, copy } = shop({ mirrors: [to('copy', { numerator: 250_000, denominator: 1_000_000 })] });
    for (let i = 0; i < 1_000; i++) send();
    world.clock.advance(1_000);
    assert.ok(copy.requests.length > 210 && copy.requests.length < 290, `${copy.requests.length}`);
  });

  test('whatever becomes of the copy, nothing becomes of the request', () => {
    for (const spoil of ['reset', 'hang', 'refuse', 'error', 'gone'] as const) {
      const { world, send, copy, server } = shop({ mirrors: [to('copy'), to('missing')] });
      if (spoil === 'refuse') copy.accepts = false;
      else if (spoil === 'gone') world.source.assignment('copy', []);
      else copy.handler = () => (spoil === 'error' ? { status: 500 } : spoil);
      const exchange = send({ method: 'POST' }, ['x']);
      world.clock.advance(1);
      assert.equal(exchange.status, 200, spoil);
      world.clock.advance(20_000);
      assert.equal(server.requests.length, 1);
      assert.ok(copy.requests.length <= 1, `${spoil}: never sent again`);
      const runtime = world.clusters.get('copy');
      assert.equal(runtime?.limits.requests, 0, spoil);
      assert.equal(
        runtime?.endpoints.reduce((sum, host) => sum + host.active, 0),
        0,
        spoil,
      );
      assert.equal(world.count('mirror.failed') + world.count('mirror.timeout') + world.count('mirror.answered'), 2);
    }
  });

  test('a copy that cannot keep up is given up, and the request goes on', () => {
    const { world, send, copy, server } = shop({ mirrors: [to('copy')] });
    copy.connectMs = 1_000;
    const piece = 'x'.repeat(MIRROR_HELD_BYTES_MAX / 2);
    const exchange = send({ method: 'POST' }, [piece, piece, piece]);
    world.clock.advance(1);
    assert.equal(exchange.status, 200);
    assert.equal(server.requests[0]?.body.length, 3 * piece.length);
    world.clock.advance(5_000);
    assert.equal(copy.requests.length, 0);
    assert.equal(world.count('mirror.overflow'), 1);
  });

  test('a copy that is answered before all of it could be sent leaves nothing under way', () => {
    const { world, send, copy } = shop({ mirrors: [to('copy')] });
    copy.takesBytes = 2;
    const exchange = send({ method: 'POST' }, []);
    exchange.receiver?.onData(Buffer.from('half'), false);
    world.clock.advance(1);
    exchange.receiver?.onData(Buffer.from('rest'), true);
    world.clock.advance(1);
    assert.equal(copy.requests.length, 0, 'it waits for the server to take more');
    for (const connection of copy.connections) connection.answerEarly({ status: 413, body: 'no' });
    world.clock.advance(1);
    assert.equal(world.count('mirror.answered'), 1);
    assert.equal(copy.connections.size, 0);
  });

  test('body that came before the route was known is copied too', () => {
    const { world, send, copy } = shop({ mirrors: [to('copy')] });
    copy.connectMs = 100;
    send({ method: 'POST' }, ['a', 'b', 'c']);
    world.clock.advance(200);
    assert.equal(copy.requests[0]?.body, 'abc');
  });

  test('a request that breaks off takes its copy along', () => {
    const { world, send, copy } = shop({ mirrors: [to('copy')] });
    const exchange = send({ method: 'POST' }, []);
    exchange.receiver?.onData(Buffer.from('half'), false);
    world.clock.advance(1);
    exchange.receiver?.onReset({ source: 'downstream', flag: 'DC', status: 0, retry: 'no', detail: 'gone' });
    exchange.receiver?.onDone();
    assert.equal(copy.connections.size, 0);
    assert.equal(world.count('mirror.abandoned'), 1);
  });
});

describe('comparing answers', () => {
  const compared = (real: object, mirrored: object, diff: Partial<MirrorDiff> = {}) => {
    const all = shop({ mirrors: [to('copy')], mirrorDiff: { ...everything, ...diff } });
    all.server.handler = () => ({ status: 200, body: 'same', afterMs: 5, ...real });
    all.copy.handler = () => ({ status: 200, body: 'same', ...mirrored });
    all.send({ path: '/cart?token=secret' });
    all.world.clock.advance(100);
    return { ...all, parts: all.tallied('weft_mirror_mismatch_total').map(({ part }) => part) };
  };
  const version = (value: string) => Headers.from(['X-Version', value, 'Date', String(Math.random())]);

  test('what is the same counts as compared', () => {
    const { tallied, parts, notes } = compared({ headers: version('1') }, { headers: version('1') });
    assert.deepEqual(tallied('weft_mirror_compared_total'), [{ route: 'ns/route/rule-0', backend: 'copy' }]);
    assert.deepEqual(parts, []);
    assert.deepEqual(notes, []);
  });

  test('status, headers and body, each for itself, whichever answer comes first', () => {
    assert.deepEqual(compared({}, { status: 500 }).parts, ['status']);
    assert.deepEqual(compared({ headers: version('1') }, { headers: version('2'), afterMs: 50 }).parts, ['header']);
    assert.deepEqual(compared({}, { body: 'other' }).parts, ['body']);
    assert.deepEqual(compared({}, { body: 'other' }, { ignoresBody: true }).parts, []);
    assert.deepEqual(compared({}, { status: 404, body: '' }).parts, ['status', 'body']);
  });

  test('beyond the bound of the hash the length tells', () => {
    const long = 'x'.repeat(2_000);
    assert.deepEqual(compared({ body: long }, { body: `${long.slice(1)}y` }).parts, []);
    assert.deepEqual(compared({ body: long }, { body: `${long}y` }).parts, ['body']);
  });

  test('one mismatch is logged, without anything secret', () => {
    const { notes, send, world } = compared({}, { status: 500, body: 'password' });
    send();
    world.clock.advance(100);
    assert.equal(notes.length, 1);
    const text = JSON.stringify(notes);
    assert.match(text, /"path":"\/cart"/);
    assert.doesNotMatch(text, /secret|password/);
  });

  test('where the real request has no answer nothing is compared', () => {
    const { tallied, world } = compared({ status: 200 }, {}, {});
    assert.equal(tallied('weft_mirror_compared_total').length, 1);
    const broken = shop({ mirrors: [to('copy')], mirrorDiff: everything });
    broken.server.handler = () => 'reset';
    broken.send();
    broken.world.clock.advance(100);
    assert.equal(broken.tallied('weft_mirror_compared_total').length, 0);
    assert.equal(broken.world.count('mirror.not_compared'), 1);
    assert.equal(world.count('mirror.not_compared'), 0);
  });
});

test('hosts of copies', () => {
  assert.equal(shadowHost('shop'), 'shop-shadow');
  assert.equal(shadowHost('shop:80'), 'shop-shadow:80');
  assert.equal(shadowHost('[::1]'), '[::1]-shadow');
  assert.equal(shadowHost('[::1]:80'), '[::1]-shadow:80');
});
