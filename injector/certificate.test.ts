import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { describe, test } from 'node:test';
import { judge, renew } from './certificate.ts';

const NAMES = ['weft-injector.weft-system.svc', 'weft-injector.weft-system'];
const NOW = Date.UTC(2026, 0, 1);
const DAY = 24 * 3600 * 1000;
const certificates = (bundle: string): X509Certificate[] =>
  bundle
    .split(/(?<=-----END CERTIFICATE-----\n)/)
    .filter((pem) => pem !== '')
    .map((pem) => new X509Certificate(pem));

describe('certificate of the webhook', () => {
  test('is for the names of its Service and verified by its authority', async () => {
    const made = await renew(undefined, 'authority', NAMES, NOW);
    const leaf = new X509Certificate(made.cert);
    const [authority] = certificates(made.caBundle);
    assert.ok(authority !== undefined);
    assert.equal(authority.ca, true);
    assert.equal(leaf.ca, false);
    assert.ok(leaf.verify(authority.publicKey));
    assert.ok(leaf.checkIssued(authority));
    for (const name of NAMES) assert.equal(leaf.checkHost(name), name);
    assert.equal(judge(made, NAMES, NOW).kind, 'good');
  });

  test('is renewed at half its life, under the same authority', async () => {
    const made = await renew(undefined, 'authority', NAMES, NOW);
    assert.equal(judge(made, NAMES, NOW + 44 * DAY).kind, 'good');
    const later = NOW + 45 * DAY;
    assert.deepEqual(judge(made, NAMES, later), { kind: 'renew', what: 'leaf', why: 'half of its life is over' });
    const renewed = await renew(made, 'leaf', NAMES, later);
    assert.equal(renewed.caBundle, made.caBundle);
    assert.notEqual(renewed.cert, made.cert);
    assert.equal(judge(renewed, NAMES, later).kind, 'good');
  });

  test('a new authority keeps the old one trusted, but not for ever', async () => {
    const first = await renew(undefined, 'authority', NAMES, NOW);
    const second = await renew(first, 'authority', NAMES, NOW + 1826 * DAY);
    const [, old] = certificates(second.caBundle);
    assert.ok(old !== undefined && new X509Certificate(first.cert).verify(old.publicKey));
    const third = await renew(second, 'authority', NAMES, NOW + 3652 * DAY);
    assert.equal(certificates(third.caBundle).length, 2);
    assert.equal(judge(third, NAMES, NOW + 3652 * DAY).kind, 'good');
  });

  test('damage is seen: another key, another name, no PEM', async () => {
    const one = await renew(undefined, 'authority', NAMES, NOW);
    const two = await renew(undefined, 'authority', NAMES, NOW);
    const what = (material: typeof one, names = NAMES): string => {
      const state = judge(material, names, NOW);
      return state.kind === 'renew' ? state.what : state.kind;
    };
    assert.equal(what({ ...one, key: two.key }), 'leaf');
    assert.equal(what({ ...one, cert: two.cert, key: two.key }), 'leaf');
    assert.equal(what({ ...one, cert: 'edited' }), 'leaf');
    assert.equal(what({ ...one, key: '' }), 'leaf');
    assert.equal(what({ ...one, caKey: two.caKey }), 'authority');
    assert.equal(what({ ...one, caBundle: '' }), 'authority');
    assert.equal(what(one, [...NAMES, 'other.svc']), 'leaf');
  });
});
