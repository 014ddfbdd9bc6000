/** Clusters whose endpoints are in a file, from one bootstrap on Weft and on a real Envoy, while the file changes. */
import assert from 'node:assert/strict';
import { renameSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, test } from 'node:test';
import { typeUrls } from '@weft/policies/wire/type-urls';
import { stringify } from 'yaml';
import { type At, cluster, type JsonObject, route } from '../support/pair-bootstrap.ts';
import { curl } from '../support/pair-curl.ts';
import { adminPage, runSidecar } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';
import { answer, answers, application, made, ofCart, serving } from './endpoint-discovery.fixture.ts';
import { type Subject, Surface } from './envoy-surface.fixture.ts';

const surface = new Surface('endpoint-files');
const file = join(surface.folder, 'eds.yaml');
/** What two applications answer, each with its name. */
let [first, second]: [At, At] = [
  { ip: '', port: 0 },
  { ip: '', port: 0 },
];

const response = (...endpoints: readonly At[]): string =>
  stringify({
    version_info: '1',
    resources: [
      {
        '@type': typeUrls.endpoints,
        cluster_name: 'cart',
        endpoints: [
          {
            lb_endpoints: endpoints.map(({ ip, port }) => ({
              endpoint: { address: { socket_address: { address: ip, port_value: port } } },
            })),
          },
        ],
      },
    ],
  });

/** Envoy looks at what is moved into place, and at nothing else. */
function put(text: string): void {
  writeFileSync(`${file}.new`, text);
  renameSync(`${file}.new`, file);
}

const cart = (path = file, more: JsonObject = {}) => ofCart({ path_config_source: { path }, ...more });

before(async () => {
  [first, second] = [await application(surface, 'first'), await application(surface, 'second')];
});
after(() => surface.close());

test('endpoints are those of the file, before and after it changes, as for Envoy', async () => {
  put(response(first));
  const subjects = await surface.startBoth({
    managers: { web: {} },
    routes: [route('any', '/', 'of-cart')],
    clusters: [cart()],
  });
  const ports = subjects.map((subject: Subject) => subject.ports['web'] ?? 0);
  const [weft] = subjects;
  const listed = async (): Promise<string> =>
    (await adminPage(weft.adminPort, '/clusters')).text.replaceAll(
      /^(?!.*::(added_via_api|eds_service_name|weight)).*\n/gm,
      '',
    );
  assert.match(
    await listed(),
    new RegExp(`of-cart::added_via_api::true[^]*of-cart::127.0.0.1:${first.port}::weight::1`),
  );
  await answers(ports, 'first 200');
  put(response(second));
  await answers(ports, 'second 200');
  assert.match(await listed(), new RegExp(`of-cart::127.0.0.1:${second.port}::weight::1`));
  const dump = (await adminPage(weft.adminPort, '/config_dump')).text;
  assert.match(dump, /"cluster_name": "cart"/);
  put('resources: [{}]');
  await waitFor(
    'the refusal',
    () => /endpoints of cart: .*"@type".*; the last good ones hold\n/.test(weft.program.stderr) || undefined,
  );
  await answers(ports, 'second 200');
  put(response());
  const none = 'no healthy upstream 503';
  await waitFor('no endpoint', async () => {
    const [own, other] = await Promise.all(ports.map(answer));
    return (own?.endsWith(' 503') && other === none) || undefined;
  });
  put(response(first, second));
  await waitFor('both', async () => {
    const seen = new Set(await Promise.all([...ports, ...ports, ...ports].map(answer)));
    return (seen.size === 2 && seen.has('first 200') && seen.has('second 200')) || undefined;
  });
});

test('a file is read at once, so that a time to wait for it changes nothing, as for Envoy', async () => {
  put('resources: [{}]');
  // Of 0 Envoy says that it is no timeout.
  const subjects = await surface.startBoth({
    managers: { web: {} },
    routes: [route('any', '/', 'of-cart')],
    clusters: [cart(file, { initial_fetch_timeout: '0s' })],
  });
  const ports = subjects.map((subject: Subject) => subject.ports['web'] ?? 0);
  for (const port of ports) assert.match(await answer(port), / 503$/);
  put(response(first));
  await answers(ports, 'first 200');
});

test('two data threads follow the file alike', async () => {
  put(response(first));
  const { text, port } = await made([cart()]);
  await serving(surface, text, '--concurrency', '2');
  // Each connection is one thread's, chosen by the kernel.
  const many = Array.from({ length: 12 }, () => port);
  await answers(many, 'first 200');
  put(response(second));
  await answers(many, 'second 200');
});

test('a service is not the static cluster of the same name', async () => {
  put('resources: []');
  const clusters = [cart(), cluster({ name: 'cart', endpoints: [first] })];
  const { text, port } = await made(clusters, {}, [route('static', '/static', 'cart')]);
  await serving(surface, text);
  assert.match(await answer(port), /no endpoints.* 503$/s);
  put(response(second));
  await answers([port], 'second 200');
  assert.equal((await curl(`http://127.0.0.1:${port}/static`)).stdout, 'first');
});

test('a file that is not there is an error at the start, with the path of its field', async () => {
  const missing = join(surface.folder, 'other.yaml');
  const { text } = await made([cart(missing)]);
  const program = runSidecar(surface.folder, text);
  assert.equal(await program.exitCode(), 64);
  assert.match(
    program.stderr,
    new RegExp(`static_resources.clusters\\[0\\].eds_cluster_config.eds_config: ${missing} is not there\n`),
  );
});
