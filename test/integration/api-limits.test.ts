import assert from 'node:assert/strict';
import { appendFileSync, mkdirSync, renameSync, writeFileSync } from 'node:fs';
import type { ClientRequest, IncomingMessage } from 'node:http';
import { request } from 'node:https';
import { dirname, join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { connect } from 'node:tls';
import { asObjects, asString, at, type JsonObject } from '@weft/local/api/json';
import { containerLogDirectory } from '@weft/local/api/logs';
import { clientOf, startTestApi, type TestApi, until } from '@weft/local/api/testing';

const maps = '/api/v1/namespaces/default/configmaps';

describe('limits of the embedded API', () => {
  let server: TestApi;
  before(async () => {
    server = await startTestApi({
      limits: { watchesMax: 2, bodyBytesMax: 64 * 1024, listItemsMax: 3, headerTimeoutMs: 500 },
    });
  });
  after(() => server.close());

  const metric = async (line: string): Promise<boolean> => (await server.call('GET', '/metrics')).text.includes(line);

  function open(path: string): Promise<{ request: ClientRequest; response: IncomingMessage }> {
    return new Promise((resolve, reject) => {
      const sent = request(
        { ...clientOf(server.api.adminKubeconfig), host: '127.0.0.1', port: server.api.port, path, agent: false },
        (response) => {
          response.on('error', () => {});
          resolve({ request: sent, response });
        },
      );
      sent.on('error', reject);
      sent.end();
    });
  }

  test('a body over the limit is 413, and what is malformed is 400', async () => {
    const big: JsonObject = {
      apiVersion: 'v1',
      kind: 'ConfigMap',
      metadata: { name: 'big' },
      data: { a: 'x'.repeat(100_000) },
    };
    assert.equal((await server.call('POST', maps, big)).status, 413);
    assert.ok(await metric('apiserver_refused_total{limit="body"} 1'));
    assert.equal((await server.call('POST', maps, [])).status, 400);
    assert.equal((await server.call('POST', maps, {}, { 'content-type': 'text/html' })).status, 415);
    assert.equal((await server.call('POST', maps, { kind: 'Pod' })).status, 400);
    assert.equal((await server.call('POST', maps, { metadata: { name: 5 } })).status, 400);
    assert.equal((await server.call('GET', '/%zz')).status, 400);
    assert.equal((await server.call('PUT', maps, {})).status, 404);
    assert.equal((await server.call('GET', '/apis/nothing/v1/things')).status, 404);
  });

  test('watches are bounded, and one that ends makes room', async () => {
    const first = await open(`${maps}?watch=1`);
    const second = await open(`${maps}?watch=1`);
    assert.equal(first.response.statusCode, 200);
    const refused = await server.call('GET', `${maps}?watch=1`);
    assert.equal(refused.status, 429);
    assert.equal(refused.headers['retry-after'], '1');
    assert.ok(await metric('apiserver_refused_total{limit="watches"} 1'));
    first.request.destroy();
    await until('room', async () =>
      (await server.call('GET', `${maps}?watch=1&timeoutSeconds=1`)).status === 200 ? true : undefined,
    );
    second.request.destroy();
  });

  test('a list without a limit still comes in pages', async () => {
    for (let i = 0; i < 5; i++) await server.call('POST', maps, { metadata: { name: `l${i}` } });
    const page = (await server.call('GET', maps)).body;
    assert.equal(asObjects(page['items']).length, 3);
    assert.notEqual(asString(at(page, 'metadata', 'continue')), '');
    assert.ok(await metric('apiserver_refused_total{limit="list"} 1'));
  });

  test('a head that does not end is cut off', async () => {
    const socket = connect({ host: '127.0.0.1', port: server.api.port, ca: server.api.caPem });
    let closed = false;
    socket.on('close', () => {
      closed = true;
    });
    socket.on('error', () => {});
    socket.write('GET / HTTP/1.1\r\nhost: x\r\n');
    await until('the close', () => closed || undefined);
  });

  test('a followed log ends with its container', async () => {
    await server.call('POST', '/api/v1/namespaces/default/serviceaccounts', { metadata: { name: 'default' } });
    const made = await server.call('POST', '/api/v1/namespaces/default/pods', {
      metadata: { name: 'p' },
      spec: { nodeName: 'n', containers: [{ name: 'c', image: 'x' }] },
    });
    assert.equal(made.status, 201, made.text);
    const directory = containerLogDirectory(
      server.directory,
      'default',
      'p',
      asString(at(made.body, 'metadata', 'uid')),
      'c',
    );
    mkdirSync(directory, { recursive: true });
    const old = join(directory, '0.log');
    const file = join(directory, '1.log');
    writeFileSync(old, '2026-01-01T00:00:00.000000001Z stdout F before\n');
    writeFileSync(file, '2026-01-01T00:00:00.000000001Z stdout F one\n');
    assert.equal(dirname(file), directory);
    const status = (state: JsonObject) =>
      server.call(
        'PATCH',
        '/api/v1/namespaces/default/pods/p/status',
        {
          status: { containerStatuses: [{ name: 'c', ready: false, restartCount: 1, image: '', imageID: '', state }] },
        },
        { 'content-type': 'application/merge-patch+json' },
      );
    await status({ running: {} });
    const log = '/api/v1/namespaces/default/pods/p/log';
    assert.equal((await server.call('GET', `${log}?previous=true`)).text, 'before\n');
    assert.match((await server.call('GET', `${log}?timestamps=true`)).text, /^2026-01-01T00:00:00.000000001Z one\n$/);
    const { response } = await open(`${log}?follow=true`);
    let text = '';
    let ended = false;
    response.on('data', (chunk: Buffer) => {
      text += chunk.toString();
    });
    response.on('end', () => {
      ended = true;
    });
    await until('the first line', () => text === 'one\n' || undefined);
    appendFileSync(file, '2026-01-01T00:00:01.000000001Z stdout F tw');
    appendFileSync(file, 'o\n');
    await until('the second line', () => text === 'one\ntwo\n' || undefined);
    assert.equal(ended, false);
    // The agent moves a full file aside and goes on in a new one; long lines come in parts.
    renameSync(file, `${file}.1`);
    writeFileSync(file, '2026-01-01T00:00:02.000000001Z stdout P thr\n2026-01-01T00:00:02.000000002Z stdout F ee\n');
    await until('the third line', () => text === 'one\ntwo\nthree\n' || undefined);
    assert.equal((await server.call('GET', log)).text, 'one\ntwo\nthree\n', 'what was moved aside is still read');
    assert.equal((await server.call('GET', `${log}?tailLines=2`)).text, 'two\nthree\n');
    await status({ terminated: { exitCode: 0 } });
    await until('the end', () => ended || undefined);
  });
});
