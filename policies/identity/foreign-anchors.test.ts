import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { crowdedRoots, pemOf, rootNamed, unreadableRoot } from './foreign-anchors.testing.ts';
import { ANCHOR_NAMES_BYTES_MAX, areRivals, readForeignAnchors, shareName, subjectNames } from './foreign-anchors.ts';
import { parseCertificate } from './x509/certificate.ts';

const problem = (pem: string): string => {
  const read = readForeignAnchors(pem, () => undefined);
  return read.ok ? '' : read.error;
};
const read = (...anchors: readonly Uint8Array[]) => {
  const one = readForeignAnchors(pemOf(...anchors), () => undefined);
  assert.ok(one.ok, one.ok ? '' : one.error);
  return one.value;
};

describe('anchors of another trust domain', () => {
  test('are taken as they are, without what stands between them', async () => {
    const [one, two] = [await rootNamed('one'), await rootNamed('two')];
    const text = `one:\n${pemOf(one)}-----BEGIN TRUSTED CERTIFICATE-----\nAAAA\n-----END TRUSTED CERTIFICATE-----\n${pemOf(two)}`;
    const anchors = readForeignAnchors(text, () => undefined);
    assert.ok(anchors.ok);
    assert.equal(anchors.value.pem, pemOf(one, two));
  });

  test('one that OpenSSL does not take, although we can read it, is named', async () => {
    const bad = await unreadableRoot('bad');
    assert.ok(parseCertificate(bad).ok, 'our reader alone is not enough');
    assert.match(problem(pemOf(await rootNamed('good'), bad)), /^anchor 2: /);
    const key = Buffer.from(await rootNamed('off the curve'));
    const point = key.indexOf(Buffer.from('03420004', 'hex'));
    key[point + 10] = (key[point + 10] ?? 0) ^ 1;
    assert.match(problem(pemOf(key)), /^anchor 1: /);
    assert.equal(problem('-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n').slice(0, 8), 'anchor 1');
    assert.equal(problem(''), 'there is no certificate');
  });

  test('names for which a server would have no room', async () => {
    const roots = await crowdedRoots();
    assert.match(
      problem(pemOf(...roots)),
      new RegExp(`^the names of its anchors .* more than ${ANCHOR_NAMES_BYTES_MAX}$`),
    );
  });

  test('of one name and not the same are rivals; the same ones, or some of them, are not', async () => {
    const [a, b, c] = [await rootNamed('root'), await rootNamed('root'), await rootNamed('other')];
    assert.ok(areRivals(read(a), read(b)));
    assert.ok(areRivals(read(a, c), read(c, b)));
    assert.ok(!areRivals(read(a), read(a)) && !areRivals(read(a), read(a, b)) && !areRivals(read(a, b), read(b)));
    assert.ok(!areRivals(read(a), read(c)));
    assert.ok(shareName(read(a), subjectNames([b])) && !shareName(read(a), subjectNames([c])));
  });
});
