/** Signing over the wire: who is let in, what is refused and what is said about it. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { type Harness, signFor, startHarness } from '../testing/harness.ts';
import { shopObjects, shopTokens, webToken } from '../testing/shop.ts';

const web = { namespace: 'shop', serviceAccount: 'web' };

describe('Certificates/Sign', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ objects: shopObjects, tokens: shopTokens });
  });
  after(() => harness.stop());

  const refusal = async (token: string | undefined, wanted = web, csr?: Uint8Array) => {
    const signed = await signFor(harness, token === undefined ? {} : { token }, wanted, csr);
    assert.ok(!signed.ok, 'it was signed');
    return signed;
  };

  test('signs, tells the trust anchors and the time, and writes one audit line without secrets', async () => {
    const before = harness.auditLines.length;
    const signed = await signFor(harness, webToken, web);
    assert.ok(signed.ok);
    assert.equal(signed.response.certificateChain.length, 1);
    assert.equal(signed.response.trustAnchors.length, 1);
    assert.ok(Math.abs(Number(signed.response.nowUnixMs) - Date.now()) < 10_000);
    const lines = harness.auditLines.slice(before);
    assert.equal(lines.length, 1);
    assert.match(
      lines[0] ?? '',
      /^certificate signed .*"spiffeId":"spiffe:\/\/cluster\.local\/ns\/shop\/sa\/web".*"pod":"web-a"/,
    );
    assert.doesNotMatch(lines.join(), /web-token|PRIVATE/);
  });

  test('the Mesh decides how long certificates live', async () => {
    harness.apply(
      'apiVersion: weft.dev/v1alpha1\nkind: Mesh\nmetadata: { name: default }\nspec: { certificates: { ttl: 10m } }\n',
    );
    await signFor(harness, webToken, web);
    const { notAfter } = JSON.parse((harness.auditLines.at(-1) ?? '').slice('certificate signed '.length));
    assert.ok(Math.abs(Date.parse(notAfter) - Date.now() - 600_000) < 10_000);
    harness.mesh.delete('Mesh', 'default');
  });

  test('an identity that the token does not carry', async () => {
    const { code, details } = await refusal('web-token', { namespace: 'shop', serviceAccount: 'cart' });
    assert.equal(code, 'PERMISSION_DENIED');
    assert.match(
      details,
      /request is for spiffe:\/\/cluster\.local\/ns\/shop\/sa\/cart, the credential proves .*\/sa\/web$/,
    );
  });

  test('no token, an expired one, one for another audience, one that is not bound, one of an earlier pod', async () => {
    assert.deepEqual((await refusal(undefined)).code, 'UNAUTHENTICATED');
    const expired = await refusal('expired-token');
    assert.deepEqual(
      [expired.code, expired.details],
      ['UNAUTHENTICATED', 'token refused: it expired at 2020-01-01T00:00:00Z'],
    );
    const audience = await refusal('api-token');
    assert.deepEqual(
      [audience.code, audience.details],
      ['UNAUTHENTICATED', 'token refused: its audience is kubernetes.default.svc, not weft.dev'],
    );
    assert.match((await refusal('unbound-token')).details, /not bound to a pod/);
    assert.match((await refusal('stale-token', { namespace: 'shop', serviceAccount: 'cart' })).details, /earlier pod/);
    assert.match(harness.auditLines.at(-1) ?? '', /^certificate refused/);
  });

  test('bytes that are no certificate request', async () => {
    const { code, details } = await refusal('web-token', web, Buffer.from('hello'));
    assert.equal(code, 'INVALID_ARGUMENT');
    assert.match(details, /^certificate request/);
  });

  test('a certificate alone gets no new one: whoever stole it from a pod would have it for ever', async () => {
    const first = await signFor(harness, webToken, web);
    assert.ok(first.ok);
    const certificate = { chainPem: first.chainPem, key: first.key };
    for (const wanted of [web, { namespace: 'shop', serviceAccount: 'cart' }]) {
      const second = await signFor(harness, { certificate }, wanted);
      assert.ok(!second.ok && second.code === 'PERMISSION_DENIED');
      assert.match(second.details, /pods bring their token/);
    }
    assert.ok((await signFor(harness, { certificate, ...webToken }, web)).ok);
  });

  test('the serving certificate is replaced without a restart', async () => {
    await harness.serving.certificate.renew();
    const signed = await signFor(harness, webToken, web);
    assert.ok(signed.ok);
  });
});
