import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { certificatesVerdict, type WatchedCertificate } from './watchdog.ts';

const DAY = 86_400_000;
const now = Date.parse('2026-06-01T00:00:00Z');
const lasting = (kind: WatchedCertificate['kind'], beganDays: number, endsDays: number): WatchedCertificate => ({
  kind,
  name: 'one',
  notBeforeMs: now - beganDays * DAY,
  notAfterMs: now + endsDays * DAY,
});
const said = (certificates: readonly WatchedCertificate[], problems: readonly string[] = []) => {
  const { status, reason, message } = certificatesVerdict(certificates, now, problems);
  return `${status} ${reason}: ${message}`;
};

describe('certificates of the mesh', () => {
  test('a root is spoken of ninety days before its end, a day-long one in its last quarter', () => {
    assert.match(
      said([lasting('root', 3_000, 91)]),
      /^True Valid: the first to end is root one at 2026-08-31T00:00:00Z/,
    );
    assert.match(said([lasting('root', 3_000, 89)]), /^False Expiring: root one ends at 2026-08-29/);
    assert.match(
      said([lasting('serving', 0.5, 0.5), lasting('root', 1, 400)]),
      /^True Valid: the first to end is root/,
    );
    assert.match(said([lasting('serving', 0.8, 0.2)]), /^False Expiring: serving/);
  });

  test('what has ended comes before what is about to, and what is wrong with the authority between them', () => {
    const two = [lasting('issuer', 10, -1), lasting('root', 3_000, 10)];
    assert.match(said(two, ['x']), /^False Expired: issuer one expired at 2026-05-31/);
    assert.match(
      said([lasting('root', 3_000, 10)], ['SourceInvalid: ca.key']),
      /^False AuthorityProblem: .*: SourceInvalid: ca.key/,
    );
  });
});
