import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { type Anchor, type AnchorRecord, advance, anchorsMax, type RotationInputs } from './rotation.ts';

const HOUR_MS = 3_600_000;
const anchor = (fingerprint: string): Anchor => ({ fingerprint, pem: fingerprint, notAfterMs: 1_000 * HOUR_MS });
const record = (fingerprint: string, more: Partial<AnchorRecord> = {}): AnchorRecord => ({
  ...anchor(fingerprint),
  role: 'announced',
  sinceMs: 0,
  leafMsMax: HOUR_MS,
  neededUntilMs: 0,
  ...more,
});
const inputs = (more: Partial<RotationInputs>): RotationInputs => ({
  nowMs: HOUR_MS,
  signing: 'next',
  anchors: [anchor('next')],
  present: undefined,
  announceMs: 60_000,
  isHeard: true,
  leafMsMax: HOUR_MS,
  liveUntilMs: () => 0,
  forced: new Set(),
  ...more,
});
const names = (count: number): string[] => Array.from({ length: count }, (_, i) => `a${i}`);
const retiring = names(anchorsMax - 1).map((name, i) =>
  record(name, { role: 'retiring', neededUntilMs: (20 - i) * HOUR_MS }),
);

describe('nothing is signed under an anchor that is not trusted, however many there are', () => {
  test('a source that names more than there is room for: the one that signs is among them', () => {
    const many = [...names(anchorsMax + 4).map(anchor), anchor('next')];
    const { state, sign } = advance({ anchors: [] }, inputs({ anchors: many }));
    assert.equal(sign, 'source');
    assert.equal(state.anchors.length, anchorsMax);
    assert.equal(state.anchors.find((one) => one.fingerprint === 'next')?.role, 'signing');
  });

  test('while all places are taken by what retires, the key from before goes on signing', () => {
    const anchors = [...retiring, record('now', { role: 'signing' })];
    const full = advance({ anchors }, inputs({ present: 'now' }));
    assert.equal(full.sign, 'present');
    assert.equal(full.state.anchors.length, anchorsMax);
    const later = advance(full.state, inputs({ present: 'now', nowMs: 7 * HOUR_MS }));
    assert.equal(later.sign, 'present', 'announced first');
    assert.equal(later.state.anchors.find((one) => one.fingerprint === 'next')?.role, 'announced');
    assert.equal(advance(later.state, inputs({ present: 'now', nowMs: 8 * HOUR_MS })).sign, 'source');
  });

  test('where nothing else can sign, the first to go makes room', () => {
    const anchors = [...retiring, record('now', { role: 'signing' })];
    const { state, sign } = advance({ anchors }, inputs({}));
    assert.equal(sign, 'source');
    assert.equal(state.anchors.length, anchorsMax);
    assert.equal(state.anchors.find((one) => one.fingerprint === 'next')?.role, 'signing');
    assert.equal(
      state.anchors.some((one) => one.fingerprint === `a${anchorsMax - 2}`),
      false,
    );
  });
});
