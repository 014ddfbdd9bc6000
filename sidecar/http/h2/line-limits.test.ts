/** The limits that HTTP/1 has for its lines, on requests over HTTP/2. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { HttpLimits } from '@weft/policies/model/listener';
import { echo } from '../h1/server.fixture.ts';
import { GET, serve } from './testing.ts';

/** The status of a request, and what was counted. */
async function statusOf(limits: Partial<HttpLimits>, method: string, path: string, ...more: string[]) {
  const { peer, recorder } = serve(echo, limits);
  peer.send(peer.headers(1, true, ':method', method, ':scheme', 'http', ':path', path, ...GET.slice(6), ...more));
  await peer.until(() => peer.heads.length > 0);
  const status = peer.heads[0]?.fields[0]?.slice(':status: '.length);
  assert.equal(recorder.records[0]?.status ?? 200, Number(status));
  return { status, events: recorder.events };
}

test('a request line is as long as it would be over HTTP/1, and beyond its limit answered with 414', async () => {
  const limits = { requestLineBytesMax: 'GET /12345 HTTP/1.1'.length };
  assert.deepEqual(await statusOf(limits, 'GET', '/12345'), { status: '200', events: [] });
  const events = ['http2_downstream_target-too-long'];
  assert.deepEqual(await statusOf(limits, 'GET', '/123456'), { status: '414', events });
});

test('a field line beyond its limit is answered with 431', async () => {
  const limits = { fieldLineBytesMax: 'x-name: 12345'.length };
  assert.deepEqual(await statusOf(limits, 'GET', '/', 'x-name', '12345'), { status: '200', events: [] });
  const events = ['http2_downstream_field-too-long'];
  assert.deepEqual(await statusOf(limits, 'GET', '/', 'x-name', '123456'), { status: '431', events });
});

test('a target that is larger than a whole head may be is answered with 414, a head that is with 431', async () => {
  const limits = { headBytesMax: 1_024 };
  assert.equal((await statusOf(limits, 'GET', `/${'a'.repeat(1_100)}`)).status, '414');
  assert.equal((await statusOf(limits, 'GET', '/', 'x-name', 'a'.repeat(1_100))).status, '431');
});

test('a method that is longer than any that is known is answered with 501, one that is no name with 400', async () => {
  assert.equal((await statusOf({}, 'A'.repeat(33), '/')).status, '501');
  assert.equal((await statusOf({}, 'A B', '/')).status, '400');
});

test('a call of gRPC gets a status that its client reads', async () => {
  const call = ['content-type', 'application/grpc+proto', 'te', 'trailers'];
  for (const [limits, more] of [
    [{ requestLineBytesMax: 10 }, []],
    [{ fieldLineBytesMax: 50 }, ['x', 'a'.repeat(50)]],
    [{ requestBodyBytesMax: 5 }, ['content-length', '6']],
  ] as const) {
    const { peer, recorder } = serve(echo, limits);
    peer.send(peer.post(1, ...call, ...more));
    await peer.until(() => peer.heads.length > 0);
    const [head] = peer.heads;
    assert.deepEqual(head?.fields.slice(0, 3), [':status: 200', 'content-type: application/grpc', 'grpc-status: 8']);
    assert.ok(head.end);
    assert.match(head.fields[3] ?? '', /^grpc-message: malformed request: /);
    const [record] = recorder.records;
    assert.deepEqual([record?.status, record?.grpcStatus, record?.flag], [200, 8, 'DPE']);
  }
});
