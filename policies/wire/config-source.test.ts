import assert from 'node:assert/strict';
import { test } from 'node:test';
import type { JsonObject } from '@bufbuild/protobuf';
import { decodeBootstrap } from './bootstrap-decode.ts';
import { clusterJson } from './resource-json.ts';

const server = {
  api_type: 'DELTA_GRPC',
  transport_api_version: 'V3',
  grpc_services: [{ envoy_grpc: { cluster_name: 'xds' }, initial_metadata: [{ key: 'x-tenant', value: 'shop' }] }],
};

test('a source of endpoints is shown as the bootstrap says it', () => {
  const shown = (edsConfig: JsonObject): unknown => {
    const decoded = decodeBootstrap({
      dynamic_resources: { ads_config: server },
      static_resources: { clusters: [{ name: 'c', type: 'EDS', eds_cluster_config: { eds_config: edsConfig } }] },
    });
    assert.ok(decoded.ok, JSON.stringify(decoded));
    const [cluster] = decoded.value.clusters;
    assert.ok(cluster !== undefined);
    return clusterJson(cluster)['eds_cluster_config'];
  };
  for (const source of [{ api_config_source: server }, { ads: {} }]) {
    for (const time of [{}, { initial_fetch_timeout: '0s' }, { initial_fetch_timeout: '2.500s' }]) {
      const edsConfig = { ...source, ...time, resource_api_version: 'V3' };
      assert.deepEqual(shown(edsConfig), { eds_config: edsConfig, service_name: 'c' });
    }
  }
});
