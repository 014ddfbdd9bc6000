/** JWT-SVIDs over the wire: for whom they are signed, for whom not, and what is said about it. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { create } from '@bufbuild/protobuf';
import { newJoinToken } from '@weft/policies/identity/join-token';
import { systemClock } from '@weft/policies/kit/clock';
import {
  JwtBundleRequestSchema,
  type JwtBundleResponse,
  SignJwtRequestSchema,
  type SignJwtResponse,
} from '@weft/policies/wire/gen/weft/ca/v1/certificates_pb';
import { certificates } from '@weft/policies/wire/grpc';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { FileJoinRecords } from '../join/file-records.ts';
import { Joins } from '../join/joins.ts';
import {
  type ClientIdentity,
  callUnary,
  type Harness,
  signFor,
  startHarness,
  type UnaryOutcome,
} from '../testing/harness.ts';
import { shopObjects, shopTokens, webToken } from '../testing/shop.ts';

const vm = { namespace: 'shop', serviceAccount: 'vm' };
const idOf = (account: string): string => `spiffe://cluster.local/ns/shop/sa/${account}`;

describe('Certificates/SignJwt', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-jwt-'));
  const records = new FileJoinRecords(folder);
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ objects: shopObjects, tokens: shopTokens, joins: new Joins(records, systemClock) });
  });
  after(async () => {
    await harness.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const sign = (identity: ClientIdentity, audience: readonly string[], ttlSeconds = 0) =>
    callUnary(
      harness,
      identity,
      certificates.SignJwt,
      create(SignJwtRequestSchema, { audience: [...audience], ttlSeconds }),
    );
  const signed = (outcome: UnaryOutcome<SignJwtResponse>): SignJwtResponse =>
    outcome.ok ? outcome.response : assert.fail(outcome.details);
  const refusal = (outcome: UnaryOutcome<SignJwtResponse | JwtBundleResponse>): string =>
    outcome.ok ? assert.fail('it was answered') : `${outcome.code}: ${outcome.details}`;
  const issue = (): string => {
    const { token, digest } = newJoinToken();
    const now = Date.now();
    assert.ok(records.create({ digest, ...vm, createdUnixMs: now, expiresUnixMs: now + 60_000, use: undefined }).ok);
    return token.reveal();
  };

  test('for nobody but the identity that the credential proves, and for named audiences', async () => {
    const { token, spiffeId } = signed(await sign(webToken, ['bank', 'shop']));
    assert.equal(spiffeId, idOf('web'));
    const { sub, aud, exp = 0, iat = 0 } = decodeJwt(token);
    assert.deepEqual([sub, aud, exp - iat], [idOf('web'), ['bank', 'shop'], 300]);
    assert.deepEqual({ ...decodeProtectedHeader(token), kid: '' }, { alg: 'ES256', typ: 'JWT', kid: '' });
    const line = harness.auditLines.at(-1) ?? '';
    assert.match(line, /^JWT signed .*sa\/web".*"pod":"web-a".*"audience":\["bank","shop"\]/);
    assert.ok(!line.includes(token.split('.')[2] ?? ''), 'the token is in the audit');
    const hour = decodeJwt(signed(await sign(webToken, ['bank'], 1_000_000)).token);
    assert.equal((hour.exp ?? 0) - (hour.iat ?? 0), 3_600);
  });

  test('not without an audience, for too many, or for ones that are empty or endless', async () => {
    const lists = [[], [''], ['x'.repeat(256)], Array.from({ length: 17 }, (_, i) => `a${i}`)];
    for (const audience of lists) assert.match(refusal(await sign(webToken, audience)), /^INVALID_ARGUMENT/);
    assert.match(harness.auditLines.at(-1) ?? '', /^JWT refused/);
  });

  test('not for a join token, nor a certificate that is not of the process that joined', async () => {
    const joinToken = issue();
    assert.match(refusal(await sign({ joinToken }, ['bank'])), /^PERMISSION_DENIED: a join token is for a certificate/);
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const joined = await signFor(harness, { joinToken }, vm, undefined, keys);
    assert.ok(joined.ok, 'the token was not used up by that');
    const certificate = { chainPem: joined.chainPem, key: keys.privateKey };
    assert.equal(signed(await sign({ certificate }, ['bank'])).spiffeId, idOf('vm'));
    const pod = await signFor(harness, webToken, { namespace: 'shop', serviceAccount: 'web' });
    assert.ok(pod.ok);
    const stolen = { chainPem: pod.chainPem, key: pod.key };
    assert.match(refusal(await sign({ certificate: stolen }, ['bank'])), /^PERMISSION_DENIED/);
    for (const token of ['expired-token', 'api-token', 'unbound-token', 'stale-token'])
      assert.match(refusal(await sign({ token }, ['bank'])), /^UNAUTHENTICATED|^PERMISSION_DENIED/, token);
  });

  test('the keys are told to callers, with their use', async () => {
    const request = create(JwtBundleRequestSchema);
    const outcome = await callUnary(harness, webToken, certificates.JwtBundle, request);
    assert.ok(outcome.ok);
    const { keys } = JSON.parse(Buffer.from(outcome.response.jwks).toString());
    assert.deepEqual(
      { ...keys[0], x: '', y: '', kid: '' },
      { kty: 'EC', crv: 'P-256', x: '', y: '', kid: '', use: 'jwt-svid' },
    );
    const [own, ...others] = outcome.response.trust;
    assert.deepEqual(
      [own?.trustDomain, own?.anchorsPem, others],
      ['cluster.local', harness.authority.trustBundlePem, []],
    );
    assert.match(refusal(await callUnary(harness, {}, certificates.JwtBundle, request)), /^UNAUTHENTICATED/);
  });

  test('who misses a key of a partner has it looked for before the answer; who is nobody does not', async (t) => {
    const { trust } = harness.mesh;
    const refetched: string[] = [];
    trust.refetch = async (trustDomain) => void refetched.push(trustDomain);
    t.after(() => {
      trust.refetch = undefined;
    });
    const request = create(JwtBundleRequestSchema, { unknownKeyOf: 'partner.example' });
    assert.match(refusal(await callUnary(harness, {}, certificates.JwtBundle, request)), /^UNAUTHENTICATED/);
    assert.deepEqual(refetched, []);
    assert.ok((await callUnary(harness, webToken, certificates.JwtBundle, request)).ok);
    assert.ok((await callUnary(harness, webToken, certificates.JwtBundle, create(JwtBundleRequestSchema))).ok);
    assert.deepEqual(refetched, ['partner.example']);
  });
});
