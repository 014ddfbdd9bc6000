/** What becomes of the answers of an issuer, on a clock; the real API is in test/integration. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { formatSpiffeId } from '@weft/policies/identity/spiffe-id';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { ManualClock } from '@weft/policies/kit/clock';
import { ok, type Result } from '@weft/policies/kit/result';
import { trustDomain } from '../testing/harness.ts';
import { type OutsideIssuer, outsideIssuer } from '../testing/issuer.ts';
import { CertManagerKeySource } from './cert-manager.ts';
import type { CertificateRequests, RequestState } from './certificate-requests.ts';
import { authorityCondition } from './condition.ts';
import { CaKeeper } from './keeper.ts';
import { createRoot } from './root.ts';
import { MemoryCaStore } from './store.ts';

const hourMs = 3_600_000;
const dayMs = 24 * hourMs;
const announceMs = 10 * 60_000;
const web = formatSpiffeId({ trustDomain: trustDomain(), namespace: 'shop', serviceAccount: 'web' });
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const csr = await buildCsr({ spiffeId: web, publicKey: keys.publicKey, sign: keySigner(keys.privateKey) });

/** Requests in memory; what is answered is up to the test. */
class Requests implements CertificateRequests {
  issuer = 'Issuer.cert-manager.io/mesh';
  readonly made = new Map<string, { readonly csrPem: string; state: RequestState }>();

  nameOf(request: string): string {
    return `CertificateRequest weft-system/${request}`;
  }

  async find(request: string): Promise<Result<RequestState | undefined, string>> {
    return ok(this.made.get(request)?.state);
  }

  async create(request: string, csrPem: string): Promise<Result<true, string>> {
    this.made.set(request, { csrPem, state: { state: 'waiting', reason: 'it is not approved' } });
    return ok(true);
  }

  async prune(): Promise<Result<number, string>> {
    return ok(0);
  }

  get last(): { readonly csrPem: string; state: RequestState } {
    const last = [...this.made.values()].at(-1);
    if (last === undefined) throw new Error('nothing was requested');
    return last;
  }

  refuse(reason: string): void {
    this.last.state = { state: 'refused', reason };
  }
}

function world() {
  const clock = new ManualClock();
  const store = new MemoryCaStore();
  const requests = new Requests();
  const lines: string[] = [];
  const write = (message: string, fields: unknown): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
  const open = (leader = true) =>
    CaKeeper.open({
      store,
      source: new CertManagerKeySource(trustDomain(), requests, {
        clock,
        issued: { trustDomain: trustDomain(), dnsName: 'weft-control-plane.weft-system.svc' },
      }),
      clock,
      log: { info: write, warn: write, error: write },
      isLeader: () => leader,
      replica: 'one',
      leafMsMax: () => hourMs,
      announceMs: () => announceMs,
    });
  const issue = async (issuer: OutsideIssuer, lifeMs = 90 * dayMs): Promise<void> => {
    const now = clock.unixMs();
    const chainPem = await issuer.sign(requests.last.csrPem, { notBeforeMs: now, notAfterMs: now + lifeMs });
    requests.last.state = { state: 'issued', chainPem, anchorsPem: issuer.rootPem };
  };
  const opened = async (issuer: OutsideIssuer, lifeMs?: number): Promise<CaKeeper> => {
    const first = await open();
    assert.ok(!first.ok);
    await issue(issuer, lifeMs);
    const keeper = await open();
    if (!keeper.ok) throw new Error(keeper.error);
    return keeper.value;
  };
  const data = async (): Promise<Readonly<Record<string, string>>> => {
    const loaded = await store.load();
    return loaded.ok ? (loaded.value?.data.reveal() ?? {}) : {};
  };
  const pass = async (keeper: CaKeeper, ms: number): Promise<void> => {
    clock.advance(ms);
    await keeper.look();
  };
  return { clock, store, requests, lines, open, issue, opened, data, pass };
}

const roles = (keeper: CaKeeper): string => keeper.anchors.map((one) => one.role).join(' ');

async function signs(keeper: CaKeeper): Promise<string> {
  const leaf = await keeper.authority.signWorkload(csr, web, hourMs, 'shop/web-a');
  assert.ok(leaf.ok);
  assert.equal(leaf.value.chain.length, 2, 'the intermediate goes with the leaf');
  return leaf.value.issuerKeyId;
}

describe('an issuer of cert-manager', () => {
  test('before the first certificate it is said what is waited for; a restart goes on with the same request', async () => {
    const here = world();
    for (let attempt = 0; attempt < 3; attempt += 1) {
      const opened = await here.open();
      assert.ok(!opened.ok);
      assert.match(opened.error, /CertificateRequest weft-system\/weft-ca-[0-9a-f]{20}/);
    }
    assert.equal(here.requests.made.size, 1);
    here.clock.advance(3 * 60_000);
    const late = await here.open();
    assert.match(late.ok ? '' : late.error, /waits since .*: it is not approved/);
    const issuer = await outsideIssuer(here.clock.unixMs());
    await here.issue(issuer);
    const opened = await here.open();
    assert.ok(opened.ok, opened.ok ? '' : opened.error);
    await signs(opened.value);
    assert.equal(opened.value.authority.pem().trim(), issuer.rootPem.trim());
    assert.equal((await here.data())['pending.key'], undefined);
  });

  test('what is refused is asked for again with another key, ever later; what does not verify is refused too', async () => {
    const here = world();
    const errors: string[] = [];
    const attempt = async (): Promise<void> => {
      const opened = await here.open();
      assert.ok(!opened.ok);
      errors.push(opened.error);
    };
    await attempt();
    const [asked] = [...here.requests.made.values()];
    here.requests.refuse('it was denied (policy: no authorities here)');
    await attempt();
    await attempt();
    assert.equal(here.requests.made.size, 1, 'not at once');
    assert.match(errors.at(-1) ?? '', /it was denied \(policy: no authorities here\); attempt 1, the next at/);
    here.clock.advance(1_000);
    await attempt();
    assert.equal(here.requests.made.size, 2);
    assert.notEqual(here.requests.last.csrPem, asked?.csrPem);
    const issuer = await outsideIssuer(here.clock.unixMs());
    await here.issue(issuer);
    const other = await outsideIssuer(here.clock.unixMs());
    const { state } = here.requests.last;
    assert.ok(state.state === 'issued');
    here.requests.last.state = { ...state, anchorsPem: other.rootPem };
    await attempt();
    assert.match(errors.at(-1) ?? '', /status\.certificate: the chain does not verify: .*attempt 2/);
    here.clock.advance(1_999);
    await attempt();
    assert.equal(here.requests.made.size, 2, 'twice as long as before');
    here.clock.advance(1);
    await attempt();
    assert.equal(here.requests.made.size, 3);
    // Signed for the key of another request.
    here.requests.last.state = state;
    await attempt();
    assert.match(errors.at(-1) ?? '', /the key of the request is not the key of the first certificate/);
  });

  test('a new certificate when a third of the life is left, under the same root once it has begun for every clock', async () => {
    const here = world();
    const issuer = await outsideIssuer(here.clock.unixMs());
    const keeper = await here.opened(issuer);
    const before = await signs(keeper);
    await here.pass(keeper, 59 * dayMs);
    assert.equal(here.requests.made.size, 1);
    await here.pass(keeper, 2 * dayMs);
    assert.equal(here.requests.made.size, 2);
    assert.equal(await signs(keeper), before);
    await here.issue(issuer);
    await here.pass(keeper, 2_000);
    assert.equal(await signs(keeper), before, 'a clock that is behind would not take it yet');
    await here.pass(keeper, 5 * 60_000);
    assert.notEqual(await signs(keeper), before);
    assert.equal(roles(keeper), 'signing');
    assert.deepEqual(keeper.problemsNow(), []);
    assert.deepEqual(
      Object.keys(await here.data()).filter((name) => name.endsWith('.key')),
      ['ca.key'],
    );
    assert.doesNotMatch(here.lines.join('\n'), /PRIVATE KEY/);
  });

  test('another root is announced before it signs; a restart meanwhile goes on with the old key', async () => {
    const here = world();
    const keeper = await here.opened(await outsideIssuer(here.clock.unixMs()));
    const before = await signs(keeper);
    await here.pass(keeper, 61 * dayMs);
    await here.issue(await outsideIssuer(here.clock.unixMs()));
    await here.pass(keeper, 2_000);
    assert.equal(roles(keeper), 'signing announced');
    assert.equal(await signs(keeper), before);
    const again = await here.open();
    assert.ok(again.ok);
    assert.equal(await signs(again.value), before);
    await here.pass(again.value, announceMs + 2_000);
    assert.equal(roles(again.value), 'signing retiring');
    assert.notEqual(await signs(again.value), before);
    await here.pass(again.value, 2_000);
    assert.equal((await here.data())['previous.key'], undefined);
  });

  test('a renewal that is denied is in the condition until another goes through; nobody but the leader asks', async () => {
    const here = world();
    const issuer = await outsideIssuer(here.clock.unixMs());
    const keeper = await here.opened(issuer);
    const follower = await here.open(false);
    assert.ok(follower.ok);
    const before = await signs(keeper);
    here.clock.advance(61 * dayMs);
    await follower.value.look();
    assert.equal(here.requests.made.size, 1);
    await keeper.look();
    here.requests.refuse('it was denied (policy: not today)');
    await here.pass(keeper, 2_000);
    const condition = authorityCondition(keeper);
    assert.equal(condition.status, 'False');
    assert.equal(condition.reason, 'RequestFailed');
    assert.match(condition.message, /it was denied \(policy: not today\).*; the last good key signs/);
    assert.equal(await signs(keeper), before);
    await here.pass(keeper, 2_000);
    assert.equal(here.requests.made.size, 3);
    await here.issue(issuer);
    await here.pass(keeper, 2_000);
    assert.equal(authorityCondition(keeper).status, 'True');
    await follower.value.look();
    assert.equal(await signs(follower.value), await signs(keeper));
  });

  test('a root of our own becomes the one of an issuer without a gap, and so does another issuer', async () => {
    const here = world();
    const own = await createRoot(trustDomain(), here.clock.unixMs());
    here.store.put({ 'ca.crt': own.chainPem, 'ca.key': own.privateKeyPem.reveal() });
    const opened = await here.open();
    assert.ok(opened.ok, 'what is there signs meanwhile');
    const keeper = opened.value;
    await here.issue(await outsideIssuer(here.clock.unixMs()));
    await here.pass(keeper, 2_000);
    assert.equal(roles(keeper), 'signing announced');
    await here.pass(keeper, announceMs + 2_000);
    await here.pass(keeper, 3 * hourMs);
    assert.equal(roles(keeper), 'signing');
    const before = await signs(keeper);
    here.requests.issuer = 'ClusterIssuer.cert-manager.io/other';
    await here.pass(keeper, 2_000);
    assert.equal(here.requests.made.size, 2);
    await here.issue(await outsideIssuer(here.clock.unixMs()));
    await here.pass(keeper, 2_000);
    assert.equal(roles(keeper), 'signing announced');
    assert.equal(await signs(keeper), before);
  });

  test('an issuer whose clock is ahead is waited for, and not asked again', async () => {
    const here = world();
    const ahead = here.clock.unixMs() + 30_000;
    const issuer = await outsideIssuer(here.clock.unixMs());
    assert.ok(!(await here.open()).ok);
    const chainPem = await issuer.sign(here.requests.last.csrPem, { notBeforeMs: ahead, notAfterMs: ahead + dayMs });
    here.requests.last.state = { state: 'issued', chainPem, anchorsPem: issuer.rootPem };
    const early = await here.open();
    assert.match(early.ok ? '' : early.error, /by this clock its certificate begins at/);
    here.clock.advance(30_000);
    const opened = await here.open();
    assert.ok(opened.ok, opened.ok ? '' : opened.error);
    await signs(opened.value);
    assert.equal(here.requests.made.size, 1);
  });

  test('a certificate that ended while nobody ran is replaced at the start', async () => {
    const here = world();
    const issuer = await outsideIssuer(here.clock.unixMs());
    await here.opened(issuer, dayMs);
    here.clock.advance(2 * dayMs);
    const ended = await here.open();
    assert.match(ended.ok ? '' : ended.error, /CertificateRequest/);
    await here.issue(issuer);
    const opened = await here.open();
    assert.ok(opened.ok);
    await signs(opened.value);
  });

  test('an issuer that gives what is nearly over is not asked without a pause', async () => {
    const here = world();
    const issuer = await outsideIssuer(here.clock.unixMs() - 10 * dayMs);
    const first = await here.open();
    assert.ok(!first.ok);
    const short = async (): Promise<void> => {
      const now = here.clock.unixMs();
      const times = { notBeforeMs: now - 9 * dayMs, notAfterMs: now + dayMs };
      const chainPem = await issuer.sign(here.requests.last.csrPem, times);
      here.requests.last.state = { state: 'issued', chainPem, anchorsPem: issuer.rootPem };
    };
    await short();
    const keeper = await here.open();
    assert.ok(keeper.ok);
    for (let second = 0; second < 600; second += 2) {
      await here.pass(keeper.value, 2_000);
      if (here.requests.last.state.state === 'waiting') await short();
    }
    assert.ok(here.requests.made.size < 15, `${here.requests.made.size} requests in ten minutes`);
  });
});
