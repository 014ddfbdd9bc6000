import assert from 'node:assert/strict';
import { request } from 'node:https';
import { after, before, describe, test } from 'node:test';
import { CoreV1Api, KubeConfig, makeInformer } from '@kubernetes/client-node';
import { asObjects, asString, at, isObject, type JsonObject, parseJson } from '@weft/local/api/json';
import { clientOf, startTestApi, type TestApi, until } from '@weft/local/api/testing';

const maps = '/api/v1/namespaces/default/configmaps';

interface Watching {
  readonly events: JsonObject[];
  readonly ended: () => boolean;
  stop(): void;
}

describe('lists and watches', () => {
  let server: TestApi;
  before(async () => {
    server = await startTestApi({ eventsKeptMax: 40 });
  });
  after(() => server.close());

  async function make(name: string, labels: JsonObject = {}): Promise<string> {
    const answer = await server.call('POST', maps, { apiVersion: 'v1', kind: 'ConfigMap', metadata: { name, labels } });
    assert.equal(answer.status, 201, answer.text);
    return asString(at(answer.body, 'metadata', 'resourceVersion'));
  }
  const label = (name: string, labels: JsonObject) =>
    server.call(
      'PATCH',
      `${maps}/${name}`,
      { metadata: { labels } },
      { 'content-type': 'application/merge-patch+json' },
    );
  const revision = async (): Promise<string> =>
    asString(at((await server.call('GET', `${maps}?limit=1`)).body, 'metadata', 'resourceVersion'));

  function watch(query: string, accept = 'application/json'): Watching {
    const events: JsonObject[] = [];
    let over = false;
    const sent = request(
      {
        ...clientOf(server.api.adminKubeconfig),
        host: '127.0.0.1',
        port: server.api.port,
        path: `${maps}?watch=1&${query}`,
        agent: false,
        headers: { accept },
      },
      (response) => {
        let rest = '';
        response.on('data', (chunk: Buffer) => {
          const lines = (rest + chunk.toString()).split('\n');
          rest = lines.pop() ?? '';
          for (const line of lines) {
            const event = parseJson(line);
            if (isObject(event)) events.push(event);
          }
        });
        response.on('end', () => {
          over = true;
        });
        response.on('error', () => {});
      },
    );
    sent.on('error', () => {});
    sent.end();
    return { events, ended: () => over, stop: () => sent.destroy() };
  }
  const names = (watching: Watching): string[] =>
    watching.events.map((event) => `${event['type']} ${asString(at(event, 'object', 'metadata', 'name'))}`.trim());
  const seen = (watching: Watching, count: number) =>
    until(`${count} events`, () => (watching.events.length >= count ? true : undefined));

  test('a watch goes on where a list ended, and selectors make things come and go', async () => {
    const from = await revision();
    const all = watch(`resourceVersion=${from}`);
    const some = watch(`resourceVersion=${from}&labelSelector=${encodeURIComponent('on=yes')}`);
    await make('a');
    await label('a', { on: 'yes' });
    await label('a', { more: 'x' });
    await label('a', { on: 'no' });
    await server.call('DELETE', `${maps}/a`);
    await seen(all, 5);
    await seen(some, 3);
    assert.deepEqual(names(all), ['ADDED a', 'MODIFIED a', 'MODIFIED a', 'MODIFIED a', 'DELETED a']);
    assert.deepEqual(names(some), ['ADDED a', 'MODIFIED a', 'DELETED a']);
    const late = watch(`resourceVersion=${from}`);
    await seen(late, 5);
    assert.deepEqual(names(late), names(all), 'the past is told as it happened');
    for (const watching of [all, some, late]) watching.stop();
  });

  test('a watch-list sends the state, then the bookmark that ends it', async () => {
    await make('b');
    const watching = watch('sendInitialEvents=true&resourceVersionMatch=NotOlderThan&allowWatchBookmarks=true');
    await seen(watching, 2);
    const last = watching.events.at(-1);
    assert.equal(last?.['type'], 'BOOKMARK');
    assert.equal(at(last, 'object', 'metadata', 'annotations', 'k8s.io/initial-events-end'), 'true');
    assert.ok(names(watching).includes('ADDED b'));
    watching.stop();
  });

  test('a watch ends when asked', async () => {
    const watching = watch('resourceVersion=0&timeoutSeconds=1');
    await until('the end', () => (watching.ended() ? true : undefined));
  });

  test('pages are one consistent state', async () => {
    for (const name of ['p1', 'p2', 'p3', 'p4']) await make(name, { page: 'x' });
    const first = (await server.call('GET', `${maps}?limit=2&labelSelector=page%3Dx`)).body;
    assert.equal(asObjects(first['items']).length, 2);
    assert.equal(at(first, 'metadata', 'remainingItemCount'), 2);
    await server.call('DELETE', `${maps}/p3`);
    await make('p31', { page: 'x' });
    const token = encodeURIComponent(asString(at(first, 'metadata', 'continue')));
    const second = (await server.call('GET', `${maps}?limit=2&labelSelector=page%3Dx&continue=${token}`)).body;
    assert.deepEqual(
      asObjects(second['items']).map((item) => at(item, 'metadata', 'name')),
      ['p3', 'p4'],
    );
    assert.equal(at(second, 'metadata', 'resourceVersion'), at(first, 'metadata', 'resourceVersion'));
  });

  test('what is compacted is 410 Gone', async () => {
    const from = await revision();
    const first = (await server.call('GET', `${maps}?limit=1`)).body;
    for (let i = 0; i < 60; i++) await label('b', { i: String(i) });
    const watching = watch(`resourceVersion=${from}`);
    await seen(watching, 1);
    assert.equal(watching.events[0]?.['type'], 'ERROR');
    assert.equal(at(watching.events[0], 'object', 'code'), 410);
    const token = encodeURIComponent(asString(at(first, 'metadata', 'continue')));
    assert.equal((await server.call('GET', `${maps}?limit=1&continue=${token}`)).status, 410);
    assert.equal((await server.call('GET', `${maps}?resourceVersion=${from}&resourceVersionMatch=Exact`)).status, 410);
  });

  test('optimistic concurrency and preconditions', async () => {
    await make('c');
    const read = (await server.call('GET', `${maps}/c`)).body;
    await label('c', { x: 'y' });
    const stale = await server.call('PUT', `${maps}/c`, read);
    assert.equal(stale.status, 409);
    assert.match(
      asString(stale.body['message']),
      /the object has been modified; please apply your changes to the latest version/,
    );
    const wrong = await server.call('DELETE', `${maps}/c`, {
      kind: 'DeleteOptions',
      apiVersion: 'v1',
      preconditions: { uid: 'other' },
    });
    assert.equal(wrong.status, 409);
  });

  test('tables in lists and watches', async () => {
    const accept = 'application/json;as=Table;v=v1;g=meta.k8s.io,application/json';
    const table = (await server.call('GET', maps, undefined, { accept })).body;
    assert.equal(table['kind'], 'Table');
    assert.deepEqual(
      asObjects(table['columnDefinitions']).map((column) => column['name']),
      ['Name', 'Data', 'Age'],
    );
    const watching = watch('', accept);
    await seen(watching, 1);
    assert.equal(at(watching.events[0], 'object', 'kind'), 'Table');
    watching.stop();
  });

  test("client-node's informer follows", async () => {
    const config = new KubeConfig();
    config.loadFromString(server.api.adminKubeconfig);
    const core = config.makeApiClient(CoreV1Api);
    const informer = makeInformer(config, '/api/v1/namespaces/default/secrets', () =>
      core.listNamespacedSecret({ namespace: 'default' }),
    );
    const told: string[] = [];
    informer.on('add', (object) => told.push(`add ${object.metadata?.name}`));
    informer.on('update', (object) => told.push(`update ${object.metadata?.name}`));
    informer.on('delete', (object) => told.push(`delete ${object.metadata?.name}`));
    await informer.start();
    try {
      const secret = await core.createNamespacedSecret({
        namespace: 'default',
        body: { metadata: { name: 's' }, stringData: { a: 'b' } },
      });
      assert.equal(secret.data?.['a'], 'Yg==');
      await until('add', () => told.includes('add s') || undefined);
      await core.replaceNamespacedSecret({ namespace: 'default', name: 's', body: { ...secret, data: { a: 'Yw==' } } });
      await until('update', () => told.includes('update s') || undefined);
      await core.deleteNamespacedSecret({ namespace: 'default', name: 's' });
      await until('delete', () => told.includes('delete s') || undefined);
    } finally {
      await informer.stop();
    }
  });
});
