import assert from 'node:assert/strict';
import { test } from 'node:test';
import { formatSpiffeId, parseTrustDomain } from '@weft/policies/identity/spiffe-id';
import { ManualClock } from '@weft/policies/kit/clock';
import type { Caller } from '../auth/caller.ts';
import { IssueLimits } from './issue-limits.ts';

test('a workload that asks without end keeps nobody else from renewing, and is answered again later', () => {
  const domain = parseTrustDomain('cluster.local');
  assert.ok(domain.ok);
  const identity = { trustDomain: domain.value, namespace: 'shop', serviceAccount: 'web' };
  const callerOf = (uid: string): Caller => ({
    spiffeId: formatSpiffeId(identity),
    identity,
    pod: { name: 'web-a', uid },
    via: 'token',
  });
  const clock = new ManualClock();
  const limits = new IssueLimits(clock);
  const signed = (uid: string, times: number): number =>
    Array.from({ length: times }, () => limits.admits('certificates', callerOf(uid))).filter(({ ok }) => ok).length;
  assert.equal(signed('taken-over', 10_000), 120);
  assert.equal(signed('other', 3), 3);
  const refused = limits.admits('certificates', callerOf('taken-over'));
  assert.ok(!refused.ok && refused.error.code === 'unavailable');
  assert.ok(limits.admits('jwts', callerOf('taken-over')).ok);
  clock.advance(10_000);
  assert.equal(signed('taken-over', 100), 20);
});
