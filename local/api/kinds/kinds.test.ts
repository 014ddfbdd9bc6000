import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { openPki } from '../auth/pki.ts';
import { asStrings, at, type JsonObject } from '../json.ts';
import { Store } from '../store/store.ts';
import { compareVersions } from './registry.ts';
import { ipToNumber, numberToIp, ServiceIps } from './service-ips.ts';

test('versions are ordered as clients expect', () => {
  const given = ['v1beta1', 'v1', 'foo', 'v2alpha1', 'v2', 'v1beta2', 'v1alpha10'];
  assert.deepEqual(given.sort(compareVersions), ['v2', 'v1', 'v1beta2', 'v1beta1', 'v2alpha1', 'v1alpha10', 'foo']);
});

test('addresses survive the way to a number and back', () => {
  fc.assert(fc.property(fc.ipV4(), (ip) => numberToIp(ipToNumber(ip), 'IPv4') === ip));
  fc.assert(
    fc.property(
      fc.bigInt({ min: 0n, max: 2n ** 128n - 1n }),
      (value) => ipToNumber(numberToIp(value, 'IPv6')) === value,
    ),
  );
  assert.equal(numberToIp(1n, 'IPv6'), '::1');
  assert.equal(numberToIp(ipToNumber('fd77:ef7:0:1::1'), 'IPv6'), 'fd77:ef7:0:1::1');
});

describe('ClusterIPs', () => {
  const withStore = (run: (ips: ServiceIps, store: Store) => void): void => {
    const store = new Store({ path: ':memory:', eventsKeptMax: 10 });
    try {
      run(new ServiceIps(['10.9.0.0/29', 'fd00::/120'], store), store);
    } finally {
      store.close();
    }
  };
  const service = (spec: JsonObject, name = 's'): JsonObject => ({ metadata: { name, namespace: 'n' }, spec });
  test('families follow policy', () =>
    withStore((ips) => {
      const single = service({});
      assert.deepEqual(ips.assign(single, undefined), []);
      assert.deepEqual(at(single, 'spec', 'ipFamilies'), ['IPv4']);
      const dual = service({ ipFamilyPolicy: 'PreferDualStack' });
      assert.deepEqual(ips.assign(dual, undefined), []);
      assert.deepEqual(at(dual, 'spec', 'ipFamilies'), ['IPv4', 'IPv6']);
      assert.equal(asStrings(at(dual, 'spec', 'clusterIPs')).length, 2);
      const six = service({ ipFamilies: ['IPv6'] });
      assert.deepEqual(ips.assign(six, undefined), []);
      assert.match(String(at(six, 'spec', 'clusterIP')), /^fd00::/);
      const headless = service({ clusterIP: 'None', selector: { a: 'b' } });
      assert.deepEqual(ips.assign(headless, undefined), []);
      assert.deepEqual(at(headless, 'spec', 'clusterIPs'), ['None']);
    }));
  test('an address is given once, a full range is an error', () =>
    withStore((ips, store) => {
      const given = new Set<string>();
      // A /29 has six usable addresses, the first is the kubernetes Service's.
      for (let i = 0; i < 5; i++) {
        const made = service({}, `s${i}`);
        assert.deepEqual(ips.assign(made, undefined), []);
        given.add(String(at(made, 'spec', 'clusterIP')));
        store.create('/services', made);
      }
      assert.equal(given.size, 5);
      assert.match(ips.assign(service({}, 'late'), undefined)[0]?.message ?? '', /full/);
      assert.match(
        ips.assign(service({ clusterIP: [...given][0] ?? '' }, 'dup'), undefined)[0]?.message ?? '',
        /already allocated/,
      );
      assert.match(
        ips.assign(service({ clusterIP: '10.8.0.1' }, 'out'), undefined)[0]?.message ?? '',
        /not in the valid range/,
      );
    }));
});

test('certificates are what OpenSSL reads', () => {
  const directory = mkdtempSync(join(tmpdir(), 'weft-pki-'));
  try {
    const open = () =>
      openPki({ directory, serverNames: ['kubernetes', 'localhost', '127.0.0.1', 'fd00::1'], now: Date.now });
    const pki = open();
    const ca = new X509Certificate(pki.caPem);
    const leaf = new X509Certificate(pki.serverCertificatePem);
    assert.ok(ca.ca && leaf.verify(ca.publicKey) && leaf.checkIssued(ca));
    assert.ok(leaf.checkHost('localhost') && leaf.checkIP('127.0.0.1') && leaf.checkIP('fd00::1'));
    assert.equal(leaf.checkHost('other'), undefined);
    assert.equal(open().caPem, pki.caPem, 'the authority stays');
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
});
