/** What a client may write beside its request: none of it changes who it is, and none of it is remembered. */
import assert from 'node:assert/strict';
import { once } from 'node:events';
import { connect, type IncomingHttpHeaders, type OutgoingHttpHeaders } from 'node:http2';
import { after, before, describe, test } from 'node:test';
import { type Harness, signFor, startHarness } from '../testing/harness.ts';
import { shopObjects, shopTokens } from '../testing/shop.ts';

const account = { namespace: 'shop', serviceAccount: 'web' };
const victim = 'spiffe://cluster.local/ns/shop/sa/cart';

describe('hostile metadata', () => {
  let harness: Harness;
  before(async () => {
    harness = await startHarness({ objects: shopObjects, tokens: shopTokens });
  });
  after(() => harness.stop());

  /** An empty SignRequest with those fields; the status, of HTTP or of gRPC. */
  async function call(headers: OutgoingHttpHeaders): Promise<IncomingHttpHeaders> {
    const session = connect(`https://${harness.address}`, {
      ca: harness.authority.trustBundlePem,
      servername: 'weft-control-plane.weft-system.svc',
    });
    try {
      const stream = session.request({
        ':method': 'POST',
        ':path': '/weft.ca.v1.Certificates/Sign',
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      });
      stream.end(Buffer.alloc(5));
      stream.resume();
      const [[first], last] = await Promise.all([
        once(stream, 'response') as Promise<[IncomingHttpHeaders]>,
        Promise.race([once(stream, 'trailers'), once(stream, 'close')]) as Promise<[IncomingHttpHeaders?]>,
      ]);
      return { ...first, ...last[0] };
    } catch (error) {
      // Refused before it was read.
      return { 'grpc-status': String(error) };
    } finally {
      session.destroy();
    }
  }

  const fields: readonly (readonly [string, OutgoingHttpHeaders])[] = [
    ['an identity that a proxy might have vouched for', { 'x-forwarded-client-cert': `By=x;URI=${victim}` }],
    ['an address that a proxy might have vouched for', { 'x-forwarded-for': '10.1.0.9', forwarded: 'for=10.1.0.9' }],
    ['two credentials', { authorization: 'Bearer nobody, Bearer nobody-else' }],
    ['a credential of another kind', { authorization: 'Basic d2ViOndlYg==' }],
    ['a credential in bytes', { 'authorization-bin': Buffer.from('Bearer web-token').toString('base64') }],
    ['bytes that are none', { 'x-bin': '!!!!' }],
    ['a name for the prototype of an object', { constructor: 'x', 'has-own-property': 'x', 'to-string': 'x' }],
    ['a time that is none', { 'grpc-timeout': '99999999999H' }],
    ['a time that is over', { 'grpc-timeout': '0n' }],
    ['an encoding that nobody has', { 'grpc-encoding': 'zip-bomb' }],
    ['another authority', { ':authority': 'elsewhere.example' }],
    ['two hundred fields', Object.fromEntries(Array.from({ length: 200 }, (_, i) => [`x-${i}`, 'y']))],
  ];
  for (const [what, headers] of fields) {
    test(`${what}: no answer but a refusal`, async () => {
      const answer = await call(headers);
      assert.notEqual(answer['grpc-status'], '0', JSON.stringify(answer));
      assert.ok(answer['grpc-status'] !== undefined || Number(answer[':status']) >= 400, JSON.stringify(answer));
    });
  }

  test('another content type is no call', async () => {
    assert.equal((await call({ 'content-type': 'text/html' }))[':status'], 415);
  });

  test('beside a good token they change nothing: it is still this caller, and no other', async () => {
    const forged = { 'x-forwarded-client-cert': `By=x;URI=${victim}`, authorization: 'Bearer web-token' };
    assert.notEqual((await call(forged))['grpc-status'], '16');
    const other = await signFor(harness, { token: 'web-token' }, { namespace: 'shop', serviceAccount: 'cart' });
    assert.ok(!other.ok);
    assert.ok((await signFor(harness, { token: 'web-token' }, account)).ok);
  });

  test('no line of the log has a token in it', () => {
    assert.ok(harness.auditLines.length > 0);
    for (const line of harness.auditLines) assert.doesNotMatch(line, /web-token|nobody|d2ViOndlYg|BEGIN/);
  });
});
