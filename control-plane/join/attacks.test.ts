/** A workload gets no identity but its own: what is tried with join tokens and with what came of them. */
import assert from 'node:assert/strict';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { joinRecordName, newJoinToken } from '@weft/policies/identity/join-token';
import { formatSpiffeId } from '@weft/policies/identity/spiffe-id';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { systemClock } from '@weft/policies/kit/clock';
import { type ClientIdentity, type Harness, signFor, startHarness, trustDomain } from '../testing/harness.ts';
import { pod, shopObjects, shopTokens, web, webToken } from '../testing/shop.ts';
import { DeltaClient } from '../testing/xds-client.ts';
import { FileJoinRecords } from './file-records.ts';
import { Joins } from './joins.ts';

const vm = { namespace: 'shop', serviceAccount: 'vm' };
const cart = { namespace: 'shop', serviceAccount: 'cart' };
const hourMs = 3_600_000;

describe('join tokens', () => {
  const folder = mkdtempSync(join(tmpdir(), 'weft-joins-'));
  const records = new FileJoinRecords(folder);
  const joins = new Joins(records, systemClock);
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ objects: shopObjects, tokens: shopTokens, joins });
  });
  after(async () => {
    await harness.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  const issue = (account = vm, expiresUnixMs = Date.now() + hourMs) => {
    const { token, digest } = newJoinToken();
    const record = { digest, ...account, createdUnixMs: Date.now(), expiresUnixMs, use: undefined };
    assert.ok(records.create(record).ok);
    return { joinToken: token.reveal(), name: joinRecordName(digest) };
  };
  const refused = async (identity: ClientIdentity, account = vm, csr?: Uint8Array): Promise<string> => {
    const signed = await signFor(harness, identity, account, csr);
    assert.ok(!signed.ok, 'it was signed');
    assert.match(harness.auditLines.at(-1) ?? '', /^certificate refused/);
    return `${signed.code}: ${signed.details}`;
  };
  const joined = async (account = vm) => {
    const { joinToken, name } = issue(account);
    const signed = await signFor(harness, { joinToken }, account);
    assert.ok(signed.ok);
    return { name, joinToken, certificate: { chainPem: signed.chainPem, key: signed.key } };
  };

  test('one is signed for once, for exactly its identity, with an audit line and without a trace of the token', async () => {
    const { joinToken, name } = issue();
    const joinedBefore = joins.counters.joined;
    assert.ok((await signFor(harness, { joinToken }, vm)).ok);
    assert.equal(joins.counters.joined, joinedBefore + 1);
    const line = harness.auditLines.at(-1) ?? '';
    assert.match(line, new RegExp(`^certificate signed .*sa/vm".*"via":"join-token","join":"${name}"`));
    assert.doesNotMatch(harness.auditLines.join(), new RegExp(joinToken));
    const stored = readdirSync(folder).map((file) => readFileSync(join(folder, file), 'utf8'));
    assert.doesNotMatch(stored.join(), new RegExp(joinToken));
    assert.doesNotMatch(stored.join(), new RegExp(Buffer.from(joinToken).toString('base64').slice(0, 40)));
  });

  test('replayed: refused, counted, audited, also with the same key', async () => {
    const { joinToken } = issue();
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    assert.ok((await signFor(harness, { joinToken }, vm, undefined, keys)).ok);
    const replayedBefore = joins.counters.replayed;
    assert.match(await refused({ joinToken }), /^UNAUTHENTICATED: join token refused: it was used at 20/);
    const again = await signFor(harness, { joinToken }, vm, undefined, keys);
    assert.ok(!again.ok);
    assert.equal(joins.counters.replayed, replayedBefore + 2);
  });

  test('twenty at once with one token: one gets a certificate', async () => {
    const { joinToken } = issue();
    const all = await Promise.all(Array.from({ length: 20 }, () => signFor(harness, { joinToken }, vm)));
    assert.equal(all.filter((one) => one.ok).length, 1);
  });

  test('guessed, cut, expired, taken back, of odd shape', async () => {
    const guess = `weft-join-${randomBytes(32).toString('base64url')}`;
    assert.match(await refused({ joinToken: guess }), /^UNAUTHENTICATED: join token refused: it is not known/);
    const { joinToken, name } = issue();
    assert.match(await refused({ joinToken: joinToken.slice(0, -1) }), /not a join token/);
    assert.match(await refused({ joinToken: 'x'.repeat(300) }), /^UNAUTHENTICATED/);
    assert.match(await refused({ joinToken: 'weft-join-../../../../etc/passwd' }), /not a join token/);
    assert.match(await refused({ joinToken: issue(vm, Date.now() - 1).joinToken }), /it expired at/);
    records.remove(name);
    assert.match(await refused({ joinToken }), /it is not known/);
  });

  test('for another identity, several, or none: refused, and the token is still good for its own', async () => {
    const { joinToken } = issue();
    assert.match(await refused({ joinToken }, cart), /^PERMISSION_DENIED: .*proves .*\/sa\/vm$/);
    const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const uri = (value: string) => ({ type: 'uri', value }) as const;
    const [own, other] = [vm, cart].map((one) => uri(formatSpiffeId({ trustDomain: trustDomain(), ...one })));
    assert.ok(own !== undefined && other !== undefined);
    for (const sans of [[own, other], [own, { type: 'dns', value: 'cart.shop.svc' } as const], []]) {
      const csr = await buildCsr({ sans, publicKey, sign: keySigner(privateKey) });
      assert.match(await refused({ joinToken }, vm, csr), /^INVALID_ARGUMENT/);
    }
    assert.match(await refused({ joinToken }, vm, Buffer.from('hello')), /^INVALID_ARGUMENT/);
    assert.ok((await signFor(harness, { joinToken }, vm)).ok);
  });

  test('as a bearer token, or beside one, it is none; a service account token is no join token', async () => {
    const { joinToken } = issue();
    assert.match(await refused({ token: joinToken }), /^UNAUTHENTICATED: token refused/);
    assert.match(await refused({ joinToken: 'web-token' }), /not a join token/);
    assert.match(await refused({ joinToken: `${joinToken}, Bearer web-token` }), /^UNAUTHENTICATED/);
  });

  test('after joining, the key renews its own identity and gets no other', async () => {
    const { certificate } = await joined();
    const renewal = await signFor(harness, { certificate }, vm);
    assert.ok(renewal.ok);
    assert.match(harness.auditLines.at(-1) ?? '', /"via":"certificate","join":"weft-join-/);
    assert.match(await refused({ certificate }, cart), /^PERMISSION_DENIED/);
    // What it got for another key is for use, not for renewal: else each would live on when the join is taken back.
    const child = { chainPem: renewal.chainPem, key: renewal.key };
    assert.match(await refused({ certificate: child }), /^PERMISSION_DENIED: a certificate is renewed for the key of/);
  });

  test('a join that was taken back renews no more, whoever else runs as that account', async () => {
    const { certificate, name } = await joined(cart);
    assert.ok((await signFor(harness, { certificate }, cart)).ok);
    records.remove(name);
    assert.match(await refused({ certificate }, cart), /taken back/);
  });

  test('a certificate that was stolen from a pod does not live on without the token of the pod', async () => {
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const account = { namespace: 'shop', serviceAccount: 'web' };
    const first = await signFor(harness, webToken, account, undefined, keys);
    assert.ok(first.ok);
    const certificate = { chainPem: first.chainPem, key: keys.privateKey };
    assert.match(await refused({ certificate }, account), /pods bring their token/);
    assert.match(await refused({ certificate }, cart), /^PERMISSION_DENIED/);
  });

  test('a joined process may not ask for the resources of a pod of another account, nor with its token', async () => {
    const { certificate, joinToken } = await joined();
    for (const identity of [{ certificate }, { joinToken }]) {
      const client = DeltaClient.open(harness, identity, web);
      client.subscribe('listener', ['inbound']);
      const { code, details } = await client.end();
      assert.match(
        `${code}: ${details}`,
        /^PERMISSION_DENIED: pod shop\/web-a runs as web, the credential is of vm|^UNAUTHENTICATED: .*Bearer/,
      );
      client.close();
    }
  });

  test('the token of a pod that has ended', async () => {
    harness.apply(pod('cart-a', 'cart', '10.1.0.1', 'uid-cart-a', '').replace('phase: Running', 'phase: Succeeded'));
    assert.match(await refused({ token: 'cart-token' }, cart), /^PERMISSION_DENIED: pod shop\/cart-a has ended/);
    harness.apply(shopObjects);
    assert.ok((await signFor(harness, { token: 'cart-token' }, cart)).ok);
  });

  test('what is over is forgotten, and nothing else', async () => {
    const open = issue();
    const { name } = await joined();
    const over = issue(vm, Date.now() - hourMs);
    const swept = await joins.sweep();
    assert.ok(swept.ok && swept.value >= 1);
    const left = [...records.all()].map((one) => one.name);
    assert.ok(left.includes(open.name) && left.includes(name) && !left.includes(over.name));
  });
});
