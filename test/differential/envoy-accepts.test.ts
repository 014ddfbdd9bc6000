/**
 * A real Envoy takes what objects are translated to: every resource of the golden files. Routes and endpoints are
 * checked in a bootstrap; clusters and listeners as the bytes of the wire, where Envoy may pass over what is optional.
 */
import assert from 'node:assert/strict';
import { execFile } from 'node:child_process';
import { globSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, join } from 'node:path';
import { after, describe, test } from 'node:test';
import { promisify } from 'node:util';
import { create, toBinary } from '@bufbuild/protobuf';
import { encodeTranslated } from '@weft/control-plane/resources/source';
import type { TranslatedResource } from '@weft/control-plane/translate/resource';
import { errorText } from '@weft/policies/kit/error-text';
import { DiscoveryResponseSchema } from '@weft/policies/wire/gen/envoy/service/discovery/v3/discovery_pb';
import { typeUrls } from '@weft/policies/wire/type-urls';
import { parseAllDocuments } from 'yaml';
import { z } from 'zod';
import { findEnvoy } from '../support/envoy.ts';
import { type JsonObject, typed } from '../support/pair-bootstrap.ts';
import { freePort, Program } from '../support/pair-process.ts';
import { adminPage, testFolder } from '../support/pair-sidecar.ts';
import { clientIn, Translated } from '../support/translated.ts';
import { waitFor } from '../support/wait.ts';

const VALIDATE_MS_MAX = 30_000;
const run = promisify(execFile);
const folder = testFolder('accepts');
const testdata = join(import.meta.dirname, '../../control-plane/translate/testdata');

after(() => rmSync(folder, { recursive: true, force: true }));

const question = z.object({
  ask: z
    .array(
      z.object({
        kind: z.enum(['address', 'listener', 'route', 'cluster', 'endpoints']),
        name: z.string(),
        namespace: z.string().default('default'),
        pod: z.string().default(''),
      }),
    )
    .default([]),
});

interface Golden {
  readonly routes: readonly JsonObject[];
  readonly endpoints: readonly JsonObject[];
  readonly streamed: readonly TranslatedResource[];
}

function goldenOf(text: string): Golden {
  const [first] = parseAllDocuments(text);
  const { ask } = question.parse(first && 'toJS' in first ? first.toJS() : {});
  const translated = new Translated(text.slice(text.indexOf('\n---\n') + 5));
  const routes: JsonObject[] = [];
  const endpoints: JsonObject[] = [];
  const streamed: TranslatedResource[] = [];
  for (const { kind, name, namespace, pod } of ask) {
    if (kind === 'address') continue;
    const client = clientIn(namespace, pod);
    if (kind === 'cluster' || kind === 'listener') {
      const model = translated.model(kind, name, client);
      if (model !== undefined) streamed.push(model);
      continue;
    }
    const resource = translated.resource(kind, name, client);
    if (resource !== undefined) (kind === 'route' ? routes : endpoints).push(resource);
  }
  return { routes, endpoints, streamed };
}

const files = globSync('*.in.yaml', { cwd: testdata }).sort();
const goldens = new Map(
  files.map((file) => [basename(file, '.in.yaml'), goldenOf(readFileSync(join(testdata, file), 'utf8'))]),
);

/** A listener around routes whose clusters need not be there. */
const routed = (route: JsonObject, index: number): JsonObject => ({
  name: `route-${index}`,
  address: { socket_address: { address: '127.0.0.1', port_value: 10_000 + index } },
  filter_chains: [
    {
      filters: [
        {
          name: 'manager',
          typed_config: typed('extensions.filters.network.http_connection_manager.v3.HttpConnectionManager', {
            stat_prefix: `route-${index}`,
            route_config: { ...route, validate_clusters: false },
            http_filters: [{ name: 'router', typed_config: typed('extensions.filters.http.router.v3.Router') }],
          }),
        },
      ],
    },
  ],
});

const bootstrapOf = (routes: readonly JsonObject[], endpoints: readonly JsonObject[]): string =>
  JSON.stringify({
    static_resources: {
      listeners: routes.map(routed),
      clusters: endpoints.map((one, i) => ({
        name: `endpoints-${i}`,
        type: 'STATIC',
        load_assignment: { ...one, cluster_name: `endpoints-${i}` },
      })),
    },
  });

/** What Envoy has against a bootstrap; empty: nothing. */
async function objection(name: string, text: string): Promise<string> {
  const file = join(folder, `${name}.json`);
  writeFileSync(file, text);
  const args = ['--mode', 'validate', '--config-path', file, '--concurrency', '1', '--log-level', 'error'];
  try {
    await run(await findEnvoy(), args, { timeout: VALIDATE_MS_MAX });
    return '';
  } catch (error) {
    return errorText(error);
  }
}

describe('Envoy takes routes and endpoints', () => {
  for (const [name, { routes, endpoints }] of goldens) {
    if (routes.length + endpoints.length === 0) continue;
    test(name, async () => assert.equal(await objection(name, bootstrapOf(routes, endpoints)), ''));
  }

  test('what is wrong would be said', async () => {
    assert.match(await objection('wrong', bootstrapOf([{ name: 'r', no_such_field: 1 }], [])), /no_such_field/);
  });
});

/** Envoy reads files of this ending as bytes, and as it reads what comes by a stream. */
function writeResponse(kind: 'cluster' | 'listener', resources: readonly TranslatedResource[]): string {
  const file = join(folder, `${kind}.pb`);
  const typeUrl = typeUrls[kind];
  const message = create(DiscoveryResponseSchema, {
    versionInfo: '1',
    typeUrl,
    resources: resources.map((one) => {
      const wire = encodeTranslated(one, one.value === undefined || !('name' in one.value) ? '' : one.value.name);
      return { typeUrl: wire.typeUrl, value: Uint8Array.from(wire.bytes) };
    }),
  });
  writeFileSync(file, toBinary(DiscoveryResponseSchema, message));
  return file;
}

const fromFile = (path: string): JsonObject => ({ path_config_source: { path }, resource_api_version: 'V3' });

/** Nobody answers: secrets stay away, and what waits for them is accepted all the same. */
const streams: JsonObject = {
  name: 'control-plane',
  connect_timeout: '1s',
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
      'extensions.upstreams.http.v3.HttpProtocolOptions',
      { explicit_http_config: { http2_protocol_options: {} } },
    ),
  },
};

/** Names are the same in several files, and a listener has its address alone; endpoints would be waited for. */
async function distinct(kind: 'cluster' | 'listener'): Promise<readonly TranslatedResource[]> {
  const all: TranslatedResource[] = [];
  for (const [golden, { streamed }] of goldens) {
    for (const [i, one] of streamed.entries()) {
      if (one.kind !== kind) continue;
      const name = `${golden}-${i}`;
      if (one.kind === 'listener') {
        const addresses = [{ ip: '127.0.0.1', port: await freePort() }];
        all.push({ kind: 'listener', value: { ...one.value, name, addresses } });
      } else {
        const { discovery } = one.value;
        const none = { kind: 'static', assignment: { clusterName: name, endpoints: [] } } as const;
        all.push({
          kind: 'cluster',
          value: { ...one.value, name, discovery: discovery.kind === 'eds' ? none : discovery },
        });
      }
    }
  }
  return all;
}

/** What every proxy has by itself: inbound listeners name it. */
function inboundCluster(): TranslatedResource {
  const inbound = new Translated('').model('cluster', 'inbound', clientIn('default'));
  assert.ok(inbound !== undefined);
  return inbound;
}

describe('Envoy takes clusters and listeners', () => {
  for (const kind of ['cluster', 'listener'] as const) {
    test(`${kind}s`, async () => {
      const resources = await distinct(kind);
      assert.ok(resources.length >= 4, `${resources.length}`);
      const adminPort = await freePort();
      const clusters = kind === 'cluster' ? resources : [inboundCluster()];
      const bootstrap = JSON.stringify({
        node: { id: 'golden', cluster: 'weft' },
        admin: { address: { socket_address: { address: '127.0.0.1', port_value: adminPort } } },
        dynamic_resources: {
          ads_config: {
            api_type: 'GRPC',
            transport_api_version: 'V3',
            grpc_services: [{ envoy_grpc: { cluster_name: 'control-plane' } }],
          },
          cds_config: fromFile(writeResponse('cluster', clusters)),
          ...(kind === 'listener' ? { lds_config: fromFile(writeResponse('listener', resources)) } : {}),
        },
        static_resources: { clusters: [streams] },
      });
      const file = join(folder, `${kind}s.json`);
      writeFileSync(file, bootstrap);
      const args = ['--config-path', file, '--concurrency', '1', '--disable-hot-restart', '--log-level', 'warning'];
      // It is never ready, as it waits for secrets and routes.
      const envoy = new Program(await findEnvoy(), args);
      try {
        const api = kind === 'cluster' ? 'cluster_manager.cds' : 'listener_manager.lds';
        const outcome = await waitFor('what it makes of them', async () => {
          const stats = await adminPage(adminPort, `/stats?filter=^${api}.update_(success|rejected)$`).catch(
            () => undefined,
          );
          return /update_(success|rejected): [1-9]/.exec(stats?.text ?? '')?.[1];
        });
        assert.equal(outcome, 'success', envoy.stderr);
        const manager =
          kind === 'cluster'
            ? 'cluster_manager.(active|warming)_clusters'
            : 'listener_manager.total_listeners_(active|warming)';
        const { text } = await adminPage(adminPort, `/stats?filter=^${manager}$`);
        const count = [...text.matchAll(/: (\d+)/g)].reduce((sum, [, one]) => sum + Number(one), 0);
        // The one that streams come from is a cluster too.
        assert.equal(count, resources.length + (kind === 'cluster' ? 1 : 0), text);
      } finally {
        await envoy.stop();
      }
    });
  }
});
