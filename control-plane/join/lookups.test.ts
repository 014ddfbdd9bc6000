/** Who has to wait for whom, when more ask about joins than the store is asked at one time. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { type JoinRecord, joinTokenDigest, newJoinToken } from '@weft/policies/identity/join-token';
import { ManualClock } from '@weft/policies/kit/clock';
import { ok } from '@weft/policies/kit/result';
import { Secret } from '@weft/policies/kit/secret';
import { keyDigestOf } from '../auth/key-digest.ts';
import { Joins } from './joins.ts';
import type { HeldRecord, JoinRecords } from './records.ts';

/** In memory, and as slow as one likes: while `held`, nobody is answered. */
function slowRecords() {
  const records = new Map<string, JoinRecord>();
  const waiting: (() => void)[] = [];
  const control = { held: false, asked: 0 };
  const turn = async (): Promise<void> => {
    control.asked += 1;
    if (control.held) await new Promise<void>((resolve) => waiting.push(resolve));
  };
  const heldOf = (record: JoinRecord | undefined): HeldRecord | undefined =>
    record === undefined ? undefined : { record, version: JSON.stringify(record) };
  const store: JoinRecords = {
    byDigest: async (digest) => {
      await turn();
      return ok(heldOf(records.get(digest)));
    },
    byKey: async (keyDigest) => {
      await turn();
      return ok(heldOf([...records.values()].find(({ use }) => use?.keyDigest === keyDigest)));
    },
    replace: async (_, next) => {
      await turn();
      records.set(next.digest, next);
      return ok('replaced');
    },
    sweep: async () => ok(0),
  };
  const release = (): void => {
    control.held = false;
    for (const go of waiting.splice(0)) go();
  };
  return { store, records, control, release };
}

const newKey = () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey;
const guess = (): Secret<string> => newJoinToken().token;

async function joinedProcess(joins: Joins, records: Map<string, JoinRecord>, clock: ManualClock): Promise<string> {
  const { token, digest } = newJoinToken();
  const nowMs = clock.unixMs();
  const account = { namespace: 'shop', serviceAccount: 'vm' };
  records.set(digest, { digest, ...account, createdUnixMs: nowMs, expiresUnixMs: nowMs + 60_000, use: undefined });
  assert.ok(joinTokenDigest(token.reveal()).ok);
  const held = await joins.open(new Secret(token.reveal()));
  assert.ok(held.ok);
  const key = newKey();
  assert.ok((await joins.claim(held.value, key, nowMs + 3_600_000)).ok);
  return keyDigestOf(key);
}

describe('look-ups of joins', () => {
  test('a flood of guessed tokens, and of certificates that did not join, keeps no known process from its renewal', async () => {
    const clock = new ManualClock();
    const { store, records, control, release } = slowRecords();
    const joins = new Joins(store, clock);
    const known = await joinedProcess(joins, records, clock);
    control.held = true;
    control.asked = 0;
    const guesses = Array.from({ length: 200 }, () => joins.open(guess()));
    const strangers = Array.from({ length: 200 }, () => joins.joinedWith(keyDigestOf(newKey())));
    const asked = control.asked;
    assert.ok(asked <= 75, 'and the API server is asked for no more than so many at a time');
    const renewal = joins.joinedWith(known);
    assert.equal(control.asked, asked + 1);
    release();
    const found = await renewal;
    assert.equal(found.ok && found.value?.record.serviceAccount, 'vm');
    const turnedAway = (all: readonly { readonly ok: boolean }[]): number => all.filter((one) => !one.ok).length;
    assert.ok(turnedAway(await Promise.all(guesses)) >= 150 && turnedAway(await Promise.all(strangers)) >= 150);
    const { busyGuess, busyStranger, busyKnown } = joins.counters;
    assert.deepEqual([busyGuess, busyStranger, busyKnown], [150, 175, 0]);
  });

  test('guesses do not keep a process that came with a good token from its certificate either', async () => {
    const clock = new ManualClock();
    const { store, records, control, release } = slowRecords();
    const joins = new Joins(store, clock);
    const { digest } = newJoinToken();
    const record = { digest, namespace: 'shop', serviceAccount: 'vm', createdUnixMs: 0, expiresUnixMs: 9e12 };
    records.set(digest, { ...record, use: undefined });
    control.held = true;
    const guesses = Array.from({ length: 100 }, () => joins.open(guess()));
    const held = { record: { ...record, use: undefined }, version: '' };
    const claimed = joins.claim(held, newKey(), clock.unixMs() + 3_600_000);
    release();
    assert.ok((await claimed).ok);
    await Promise.all(guesses);
  });

  test('a join that was taken back is that of a stranger from then on', async () => {
    const clock = new ManualClock();
    const { store, records, control, release } = slowRecords();
    const joins = new Joins(store, clock);
    const key = await joinedProcess(joins, records, clock);
    records.clear();
    const gone = await joins.joinedWith(key);
    assert.ok(gone.ok && gone.value === undefined);
    control.held = true;
    const asked = Array.from({ length: 40 }, () => joins.joinedWith(key));
    assert.equal(joins.counters.busyStranger, 15);
    release();
    await Promise.all(asked);
  });
});
