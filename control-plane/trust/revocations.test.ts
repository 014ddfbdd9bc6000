import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import {
  formatRevocation,
  REVOCATIONS_MAX,
  readRevocations,
  revocationKey,
} from '@weft/policies/identity/revocation-record';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import { ManualClock } from '@weft/policies/kit/clock';
import { MeshTrust } from './mesh-trust.ts';
import { Revocations } from './revocations.ts';

const WEB = 'spiffe://cluster.local/ns/shop/sa/web' as SpiffeId;
const silent = { info: () => undefined, warn: () => undefined };

describe('revocations', () => {
  test('an entry counts until it expires, and a fault in one does not touch the others', () => {
    const clock = new ManualClock();
    const trust = new MeshTrust((id) => id);
    const warned: string[] = [];
    const revocations = new Revocations(trust, clock, {
      ...silent,
      warn: (_, fields) => warned.push(JSON.stringify(fields)),
    });
    const atUnixMs = clock.unixMs();
    const entry = { identity: WEB, reason: 'stolen', atUnixMs, expiresUnixMs: atUnixMs + 60_000, mayReissue: false };
    let told = 0;
    trust.onChange(() => told++);
    revocations.take({ [revocationKey(entry)]: formatRevocation(entry), broken: '{"serial":"xyz"}' });
    assert.deepEqual(trust.revoked, [{ kind: 'identity', spiffeId: WEB, issuedBeforeUnixMs: 0, reason: 'stolen' }]);
    assert.match(
      trust.refusal({ spiffeId: WEB, serialHex: '', notBeforeUnixMs: atUnixMs }) ?? '',
      /is revoked: stolen/,
    );
    assert.match(warned.join(), /broken/);
    clock.advance(59_000);
    assert.equal(trust.revoked.length, 1);
    clock.advance(2_000);
    assert.deepEqual(trust.revoked, []);
    assert.equal(told, 2);
    revocations.stop();
  });

  test('an identity that may be issued again is refused with what it had, and not with what it gets', () => {
    const backdateMs = 300_000;
    const at = Date.parse('2026-01-01T12:00:00Z');
    const entry = { identity: WEB, reason: '', atUnixMs: at, expiresUnixMs: 0, mayReissue: true };
    const { revoked } = readRevocations({ a: formatRevocation(entry) }, at, backdateMs);
    const trust = new MeshTrust((id) => id);
    trust.revoke(revoked);
    const issuedAt = (ms: number) => ({ spiffeId: WEB, serialHex: '1', notBeforeUnixMs: ms - backdateMs });
    assert.notEqual(trust.refusal(issuedAt(at - 1)), undefined);
    assert.equal(trust.refusal(issuedAt(at)), undefined);
  });

  test('a serial number is a number: case and leading zeros say nothing', () => {
    const entry = { serial: '00aB', reason: '', atUnixMs: 1, expiresUnixMs: 0, mayReissue: false };
    const { revoked, faults } = readRevocations({ a: formatRevocation(entry) }, 2, 0);
    assert.deepEqual(faults, []);
    assert.deepEqual(revoked, [{ kind: 'serial', serialHex: 'ab', reason: '' }]);
  });

  test('of two for one identity, under two names, the one that refuses more counts, whichever comes first', () => {
    const alias = 'spiffe://old.example/ns/shop/sa/web' as typeof WEB;
    const canonical = (id: string): string => (id === alias ? WEB : id);
    const whole = { kind: 'identity', spiffeId: WEB, issuedBeforeUnixMs: 0, reason: 'stolen' } as const;
    const partly = { ...whole, spiffeId: alias, issuedBeforeUnixMs: 1_000 };
    const less = { ...partly, issuedBeforeUnixMs: 500 };
    for (const spiffeId of [WEB, alias]) {
      const refused = (notBeforeUnixMs: number, ...revoked: Parameters<MeshTrust['revoke']>[0][number][]): boolean => {
        const trust = new MeshTrust(canonical);
        trust.revoke(revoked);
        return trust.refusal({ spiffeId, serialHex: '1', notBeforeUnixMs }) !== undefined;
      };
      assert.ok(refused(2_000, whole, partly) && refused(2_000, partly, whole));
      assert.ok(refused(800, partly, less) && refused(800, less, partly));
      assert.ok(!refused(2_000, partly, less));
    }
  });

  test('beyond the bound the newest count', () => {
    const data: Record<string, string> = {};
    for (let i = 0; i <= REVOCATIONS_MAX; i++) {
      const entry = { serial: (i + 1).toString(16), reason: '', expiresUnixMs: 0, mayReissue: false };
      data[revocationKey({ serial: entry.serial })] = formatRevocation({ ...entry, atUnixMs: 1_000 + i });
    }
    const { revoked, faults, beyond } = readRevocations(data, 10_000, 0);
    assert.equal(revoked.length, REVOCATIONS_MAX);
    assert.deepEqual(faults, []);
    assert.deepEqual(beyond, [revocationKey({ serial: '1' })]);
    const trust = new MeshTrust((id) => id);
    const warned: string[] = [];
    let changes = 0;
    const log = { ...silent, warn: (message: string) => void warned.push(message) };
    const revocations = new Revocations(trust, new ManualClock(10_000), log, () => changes++);
    revocations.take({});
    assert.equal(trust.revocations(), undefined);
    revocations.take({ ...data, broken: 'x' });
    const { status, reason, message } = trust.revocations() ?? {};
    assert.deepEqual([status, reason], ['False', 'LimitExceeded']);
    assert.match(
      message ?? '',
      /^1 beyond the 2000 that count, the oldest, .*; 1 are not understood .*: broken: it is not JSON$/,
    );
    assert.deepEqual(trust.ignoredRevocations.beyondLimit, 1);
    const before = changes;
    revocations.take({ ...data, broken: 'x' });
    assert.equal(changes, before, 'said once');
    assert.equal(warned.length, 2);
    revocations.take({ one: data[beyond[0] ?? ''] ?? '' });
    assert.equal(trust.revocations()?.message, '1 are in force');
    const serials = revoked.flatMap((one) => (one.kind === 'serial' ? [one.serialHex] : []));
    assert.ok(!serials.includes('1') && serials.includes((REVOCATIONS_MAX + 1).toString(16)));
  });
});
