/** NetworkPolicies of the chart: who reaches which port of the control plane and the injector. */
import assert from 'node:assert/strict';
import { spawnSync } from 'node:child_process';
import { BlockList, isIP } from 'node:net';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import {
  at,
  type KubernetesObject,
  list,
  objectNamed,
  objectsIn,
  objectsOf,
  ofKind,
  selects,
} from '../support/charts.ts';
import { findTool } from '../support/tools.ts';

const chart = join(import.meta.dirname, '..', '..', 'charts', 'weft');
const timeoutMs = 60_000;

describe('NetworkPolicies', () => {
  interface Caller {
    readonly port: number;
    readonly namespace?: string;
    readonly ip?: string;
  }

  /** As NetworkPolicySpec has it: a pod that none selects is open, and rules add up. */
  function lets(objects: readonly KubernetesObject[], component: string, { namespace, ip, port }: Caller): boolean {
    const labels = at(objectNamed(objects, 'Deployment', component), 'spec', 'template', 'metadata', 'labels');
    const mine = ofKind(objects, 'NetworkPolicy').filter((one) =>
      Object.entries(at(one, 'spec', 'podSelector', 'matchLabels') ?? {}).every(
        ([key, value]) => at(labels, key) === value,
      ),
    );
    if (mine.length === 0) return true;
    const isCaller = (from: unknown): boolean => {
      const cidr = at(from, 'ipBlock', 'cidr');
      if (cidr !== undefined) {
        const [base = '', bits] = String(cidr).split('/');
        const blocks = new BlockList();
        blocks.addSubnet(base, Number(bits), isIP(base) === 6 ? 'ipv6' : 'ipv4');
        return ip !== undefined && blocks.check(ip, isIP(ip) === 6 ? 'ipv6' : 'ipv4');
      }
      return (
        namespace !== undefined && selects(at(from, 'namespaceSelector'), { 'kubernetes.io/metadata.name': namespace })
      );
    };
    return mine
      .flatMap((one) => list(at(one, 'spec', 'ingress')))
      .some(
        (rule) =>
          list(at(rule, 'ports')).some((one) => at(one, 'port') === port) &&
          (at(rule, 'from') === undefined || list(at(rule, 'from')).some(isCaller)),
      );
  }

  test('there are none unless they are asked for', () => {
    for (const name of ['default', 'small', 'cert-manager'])
      assert.deepEqual(ofKind(objectsIn(`charts/weft/testdata/${name}.yaml`), 'NetworkPolicy'), [], name);
  });

  test('let sidecars, API server and Prometheus in, and nobody else to metrics', () => {
    const full = objectsIn('charts/weft/testdata/full.yaml');
    const [control, injector] = ['weft-control-plane', 'weft-injector'];
    const table: readonly (readonly [string, Caller, boolean])[] = [
      [control, { namespace: 'shop', port: 15012 }, true],
      [control, { ip: '203.0.113.7', port: 15012 }, true],
      [control, { ip: '192.0.2.3', port: 15017 }, true],
      [control, { ip: '2001:db8::3', port: 15017 }, true],
      [control, { namespace: 'shop', port: 15017 }, false],
      [control, { namespace: 'monitoring', port: 15014 }, true],
      [control, { namespace: 'weft-system', port: 15014 }, true],
      [control, { namespace: 'shop', port: 15014 }, false],
      [control, { ip: '192.0.2.3', port: 15014 }, true],
      [control, { ip: '203.0.113.7', port: 15014 }, false],
      [control, { ip: '203.0.113.7', port: 8443 }, true],
      [injector, { ip: '192.0.2.3', port: 15017 }, true],
      [injector, { namespace: 'monitoring', port: 15014 }, true],
      [injector, { namespace: 'shop', port: 15014 }, false],
      [injector, { namespace: 'shop', port: 15012 }, false],
      [injector, { ip: '203.0.113.7', port: 8443 }, false],
    ];
    for (const [component, caller, isLetIn] of table)
      assert.equal(lets(full, component, caller), isLetIn, `${component} ${JSON.stringify(caller)}`);
  });

  test('without the addresses of the API server its port is open', async () => {
    const { status, stdout } = spawnSync(
      await findTool('helm'),
      ['template', 'weft', chart, '--namespace', 'weft-system', '--set', 'networkPolicy.enabled=true'],
      { encoding: 'utf8', timeout: timeoutMs },
    );
    assert.equal(status, 0);
    const objects = objectsOf(stdout);
    for (const component of ['weft-control-plane', 'weft-injector']) {
      assert.ok(lets(objects, component, { ip: '203.0.113.7', port: 15017 }));
      assert.ok(lets(objects, component, { namespace: 'weft-system', port: 15014 }));
      assert.ok(!lets(objects, component, { namespace: 'monitoring', port: 15014 }));
    }
  });

  test('who leaves the addresses of the API server out is told at once what will not answer', async () => {
    const helm = await findTool('helm');
    const notes = (...more: readonly string[]): string =>
      spawnSync(
        helm,
        ['install', 'weft', chart, '--namespace', 'weft-system', '--dry-run=client', ...more],
        // No cluster is asked.
        { encoding: 'utf8', timeout: timeoutMs, env: { ...process.env, KUBECONFIG: '/nonexistent' } },
      ).stdout.split('\nNOTES:\n')[1] ?? '';
    const enabled = ['--set', 'networkPolicy.enabled=true'];
    assert.match(notes(...enabled), /apiServerBlocks is empty: `weft status` and `weft authz diff` will get no answer/);
    const blocks = ['--set', 'networkPolicy.apiServerBlocks={192.0.2.0/28}'];
    const given = notes(...enabled, ...blocks);
    assert.match(given, /Weft .* is installed/);
    assert.doesNotMatch(given, /apiServerBlocks/);
  });
});
