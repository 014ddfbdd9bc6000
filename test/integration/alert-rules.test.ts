/** Alerts that the chart ships: Prometheus takes them, and each speaks of a metric that there is. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { test } from 'node:test';

const root = join(import.meta.dirname, '..', '..');
const rules = join(root, 'charts', 'weft', 'files', 'alerts.yaml');

test('promtool takes the alert rules', () => {
  const said = execFileSync('promtool', ['check', 'rules', '--lint-fatal', rules], {
    encoding: 'utf8',
    timeout: 20_000,
  });
  assert.match(said, /SUCCESS: 11 rules found/);
});

test('each alert is about a metric of the sidecar or the control plane', () => {
  const sources = [
    'control-plane/trust/certificate-watch.ts',
    'control-plane/monitoring/ca-families.ts',
    'control-plane/monitoring/cluster-families.ts',
    'control-plane/trust/partner.ts',
    'sidecar/mesh-sidecar.ts',
    'sidecar/telemetry/metrics.ts',
  ]
    .map((file) => readFileSync(join(root, file), 'utf8'))
    .join('\n');
  const names = new Set(readFileSync(rules, 'utf8').match(/\bweft_[a-z_]+/g));
  assert.ok(names.size >= 4);
  for (const name of names) assert.ok(sources.includes(name), `${name} is nowhere`);
});
