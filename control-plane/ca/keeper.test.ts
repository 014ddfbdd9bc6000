/** One root takes the place of another, on a clock; and what people do to the store meanwhile. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { describe, test } from 'node:test';
import { formatSpiffeId } from '@weft/policies/identity/spiffe-id';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { ManualClock } from '@weft/policies/kit/clock';
import { trustDomain } from '../testing/harness.ts';
import { authorityCondition } from './condition.ts';
import { CaKeeper } from './keeper.ts';
import { createRoot } from './root.ts';
import { StoreKeySource } from './source.ts';
import { readState } from './state.ts';
import { MemoryCaStore } from './store.ts';

const hourMs = 3_600_000;
const announceMs = 10 * 60_000;
const web = formatSpiffeId({ trustDomain: trustDomain(), namespace: 'shop', serviceAccount: 'web' });
const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const csr = await buildCsr({ spiffeId: web, publicKey: keys.publicKey, sign: keySigner(keys.privateKey) });

interface World {
  readonly clock: ManualClock;
  readonly store: MemoryCaStore;
  readonly lines: string[];
  /** Sidecars that have not taken the anchors of now. */
  readonly unheard: Set<string>;
  /** The same, of replicas that do not lead. */
  readonly unheardElsewhere: Set<string>;
  open(replica?: string, leader?: boolean): Promise<CaKeeper>;
}

function world(): World {
  const clock = new ManualClock();
  const store = new MemoryCaStore();
  const lines: string[] = [];
  const unheard = new Set<string>();
  const unheardElsewhere = new Set<string>();
  const write = (message: string, fields: unknown): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
  return {
    clock,
    store,
    lines,
    unheard,
    unheardElsewhere,
    open: async (replica = 'one', leader = true) => {
      const issued = { trustDomain: trustDomain(), dnsName: 'weft-control-plane.weft-system.svc' };
      const opened = await CaKeeper.open({
        store,
        source: new StoreKeySource(trustDomain(), { clock, issued }),
        clock,
        log: { info: write, warn: write, error: write },
        isLeader: () => leader,
        replica,
        leafMsMax: () => hourMs,
        announceMs: () => announceMs,
        unheard: () => [...(leader ? unheard : unheardElsewhere)],
      });
      if (!opened.ok) throw new Error(opened.error);
      return opened.value;
    },
  };
}

const dataOf = async (store: MemoryCaStore): Promise<Record<string, string>> => {
  const loaded = await store.load();
  if (!loaded.ok || loaded.value === undefined) throw new Error('nothing is stored');
  return { ...loaded.value.data.reveal() };
};

const ask = async ({ store }: World, command: Readonly<Record<string, unknown>>): Promise<void> =>
  store.put({ ...(await dataOf(store)), 'command.json': JSON.stringify({ id: 'x', ...command }) });

const answer = async ({ store }: World): Promise<string> => {
  const state = readState(await dataOf(store));
  return state.ok ? (state.value?.lastCommand?.message ?? 'none') : state.error;
};

const roles = (keeper: CaKeeper): string => keeper.anchors.map((one) => one.role).join(' ');

async function sign(keeper: CaKeeper, holder: string): Promise<string> {
  const leaf = await keeper.authority.signWorkload(csr, web, hourMs, holder);
  assert.ok(leaf.ok);
  return leaf.value.issuerKeyId;
}

/** Looks as often as a running keeper does. */
async function pass(clock: ManualClock, keepers: readonly CaKeeper[], ms: number): Promise<void> {
  const steps = 20;
  for (let step = 0; step < steps; step++) {
    clock.advance(ms / steps);
    for (const keeper of keepers) await keeper.look();
  }
}

describe('rotation of the root', () => {
  test('announced, then signing, then the old one is kept until nothing needs it, then gone', async () => {
    const here = world();
    const keeper = await here.open();
    const [old] = keeper.authority.anchors();
    assert.ok(old !== undefined);
    const oldKey = await sign(keeper, 'shop/web-a');
    await ask(here, { do: 'rotate' });
    await keeper.look();
    assert.match(await answer(here), /a new root is announced/);
    assert.equal(roles(keeper), 'signing announced');
    assert.equal(keeper.authority.anchors().length, 2);
    assert.equal(
      await sign(keeper, 'shop/web-b'),
      oldKey,
      'nothing is signed under what is not trusted everywhere yet',
    );
    await pass(here.clock, [keeper], announceMs + 1_000);
    assert.equal(roles(keeper), 'signing retiring');
    assert.notEqual(await sign(keeper, 'shop/web-a'), oldKey);
    assert.equal((await dataOf(here.store))['previous.key'], undefined, 'nobody is to sign with the old key again');
    const retiring = keeper.anchors[1]?.fingerprint ?? '';
    await ask(here, { do: 'drop-anchor', anchor: retiring.slice(0, 16), force: false });
    await keeper.look();
    assert.match(await answer(here), /is not dropped: 2 workloads hold certificates .*: shop\/web-a, shop\/web-b/);
    assert.equal(keeper.authority.anchors().length, 2);
    await pass(here.clock, [keeper], hourMs + 6 * 60_000);
    assert.equal(roles(keeper), 'signing');
    assert.notDeepEqual(keeper.authority.anchors(), [old]);
    assert.ok(here.lines.some((line) => line.startsWith('trust anchor dropped')));
    assert.deepEqual(keeper.problemsNow(), []);
  });

  test('a restart at any time goes on where it was, and replicas agree', async () => {
    const here = world();
    const first = await here.open('one');
    const second = await here.open('two', false);
    assert.equal(first.authority.pem(), second.authority.pem());
    const oldKey = await sign(second, 'shop/of-two');
    await ask(here, { do: 'rotate' });
    await first.look();
    const again = await here.open('one');
    assert.equal(roles(again), 'signing announced');
    assert.equal(await sign(again, 'shop/web-a'), oldKey);
    await pass(here.clock, [again, second], announceMs + 1_000);
    for (const keeper of [again, second]) assert.equal(roles(keeper), 'signing retiring');
    assert.equal(again.authority.pem(), second.authority.pem());
    assert.equal(await sign(again, 'shop/x'), await sign(second, 'shop/x'));
    await pass(here.clock, [again, second], 60_000);
    // What another replica signed is known from its summary, and to one that has just started.
    const late = await here.open('three');
    const retiring = late.anchors[1]?.fingerprint ?? '';
    assert.deepEqual(late.leavesOf(retiring).names, ['shop/of-two', 'shop/web-a']);
    await pass(here.clock, [again, second], 2 * hourMs);
    assert.equal(roles(second), 'signing');
    assert.equal((await dataOf(here.store))['ledger.two'], undefined, 'nothing in it is alive');
  });

  test('who is connected and has not acknowledged the new anchor is waited for, by every replica', async () => {
    const here = world();
    const leader = await here.open('one');
    const other = await here.open('two', false);
    const oldKey = await sign(leader, 'shop/web-a');
    await ask(here, { do: 'rotate' });
    await leader.look();
    here.unheard.add('shop/slow');
    await pass(here.clock, [other, leader], announceMs + 20_000);
    for (const keeper of [leader, other]) assert.equal(roles(keeper), 'signing announced');
    assert.match(authorityCondition(leader).message, /waits to be acknowledged by shop\/slow/);
    assert.equal(await sign(other, 'shop/web-a'), oldKey);
    here.unheard.clear();
    await other.look();
    assert.equal(roles(other), 'signing announced', 'whoever leads has not said so');
    await pass(here.clock, [leader, other], 4_000);
    for (const keeper of [leader, other]) assert.equal(roles(keeper), 'signing retiring');
    assert.equal(leader.hearing.counters.unheard, 0);
  });

  test('sidecars of other replicas are waited for too', async () => {
    const here = world();
    const leader = await here.open('one');
    const other = await here.open('two', false);
    await ask(here, { do: 'rotate' });
    await leader.look();
    await other.look();
    here.unheardElsewhere.add('shop/far');
    await pass(here.clock, [other, leader], announceMs + 20_000);
    assert.equal(roles(leader), 'signing announced');
    assert.deepEqual(leader.hearing.waitsFor, ['shop/far']);
    here.unheardElsewhere.clear();
    await pass(here.clock, [other, leader], 4_000);
    for (const keeper of [leader, other]) await keeper.look();
    for (const keeper of [leader, other]) assert.equal(roles(keeper), 'signing retiring');
    assert.equal((await dataOf(here.store))['unheard.two'], undefined);
  });

  test('a replica that has gone while its sidecars were waited for is waited for no longer', async () => {
    const here = world();
    const leader = await here.open('one');
    const other = await here.open('two', false);
    await ask(here, { do: 'rotate' });
    await leader.look();
    await other.look();
    here.unheardElsewhere.add('shop/far');
    await pass(here.clock, [other, leader], announceMs - 60_000);
    assert.ok((await dataOf(here.store))['unheard.two'] !== undefined);
    await pass(here.clock, [leader], 80_000);
    assert.equal(roles(leader), 'signing retiring');
    assert.equal((await dataOf(here.store))['unheard.two'], undefined);
  });

  test('who is just connecting is not waited for', async () => {
    const here = world();
    const keeper = await here.open();
    await ask(here, { do: 'rotate' });
    await keeper.look();
    for (let step = 0; step < 22; step++) {
      here.unheard.clear();
      here.unheard.add(`shop/new-${step}`);
      here.clock.advance(announceMs / 20);
      await keeper.look();
    }
    assert.equal(roles(keeper), 'signing retiring');
    assert.equal(keeper.hearing.counters.unheard, 0);
  });

  test('one that never acknowledges holds up a rotation no longer than it may, and is named', async () => {
    const here = world();
    const keeper = await here.open();
    await ask(here, { do: 'rotate' });
    await keeper.look();
    here.unheard.add('shop/deaf');
    await pass(here.clock, [keeper], announceMs + 60_000);
    assert.equal(roles(keeper), 'signing announced');
    await pass(here.clock, [keeper], 2 * 60_000);
    assert.equal(roles(keeper), 'signing retiring');
    assert.equal(keeper.hearing.counters.unheard, 1);
    assert.ok(here.lines.some((line) => line.includes('not every sidecar') && line.includes('shop/deaf')));
  });

  test('a start after the announcement leaves sidecars the time to come back and hear of it', async () => {
    const here = world();
    const first = await here.open();
    const oldKey = await sign(first, 'shop/web-a');
    await ask(here, { do: 'rotate' });
    await first.look();
    here.clock.advance(2 * announceMs);
    const again = await here.open();
    assert.equal(await sign(again, 'shop/web-a'), oldKey);
    await pass(here.clock, [again], 20_000);
    assert.equal(roles(again), 'signing retiring');
  });

  test('somebody removes the old anchor from the state: it stays, and that is said', async () => {
    const here = world();
    const keeper = await here.open();
    await sign(keeper, 'shop/web-a');
    await ask(here, { do: 'rotate' });
    await keeper.look();
    await pass(here.clock, [keeper], announceMs + 1_000);
    const data = await dataOf(here.store);
    const state = JSON.parse(data['state.json'] ?? '');
    here.store.put({ ...data, 'state.json': JSON.stringify({ ...state, anchors: state.anchors.slice(0, 1) }) });
    await keeper.look();
    assert.equal(keeper.authority.anchors().length, 2);
    assert.match(
      keeper
        .problemsNow()
        .map((one) => one.reason)
        .join(),
      /AnchorRemovedTooEarly/,
    );
    const restored = readState(await dataOf(here.store));
    assert.equal(restored.ok && restored.value?.anchors.length, 2);
    await pass(here.clock, [keeper], 2 * hourMs);
    assert.deepEqual(keeper.problemsNow(), []);
    assert.equal(keeper.authority.anchors().length, 1);
  });

  test('a broken key, the key of another certificate, text in place of the state, everything deleted', async () => {
    const here = world();
    const keeper = await here.open();
    const key = await sign(keeper, 'shop/web-a');
    const good = await dataOf(here.store);
    const other = await createRoot(trustDomain(), here.clock.unixMs());
    for (const bad of [
      { ...good, 'ca.key': 'no key' },
      { ...good, 'ca.key': other.privateKeyPem.reveal() },
      { ...good, 'ca.crt': '-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n' },
    ]) {
      here.store.put(bad);
      await keeper.look();
      assert.deepEqual(
        keeper.problemsNow().map((one) => one.reason),
        ['SourceInvalid'],
      );
      assert.equal(await sign(keeper, 'shop/web-a'), key);
      assert.equal(keeper.authority.anchors().length, 1);
    }
    assert.match(keeper.problemsNow()[0]?.message ?? '', /ca\.crt: .*; the last good key goes on signing/);
    here.store.put({ ...good, 'state.json': 'x' });
    await keeper.look();
    assert.ok(readState(await dataOf(here.store)).ok, 'written anew');
    await keeper.look();
    assert.deepEqual(keeper.problemsNow(), []);
    here.store.put(undefined);
    await keeper.look();
    assert.equal((await dataOf(here.store))['ca.key'], good['ca.key'], 'put back');
    assert.equal(await sign(keeper, 'shop/web-a'), key);
    assert.doesNotMatch(here.lines.join('\n'), /PRIVATE KEY/);
  });

  test('an operator puts another root in the place of the first: the same steps', async () => {
    const here = world();
    const keeper = await here.open();
    const oldKey = await sign(keeper, 'shop/web-a');
    const other = await createRoot(trustDomain(), here.clock.unixMs());
    const data = await dataOf(here.store);
    here.store.put({ ...data, 'ca.crt': other.chainPem, 'ca.key': other.privateKeyPem.reveal() });
    await keeper.look();
    assert.equal(roles(keeper), 'signing announced');
    assert.equal(await sign(keeper, 'shop/web-a'), oldKey);
    const again = await here.open();
    assert.equal(roles(again), 'signing announced', 'a restart meanwhile goes on with the old key');
    assert.equal(await sign(again, 'shop/web-a'), oldKey);
    await pass(here.clock, [again], announceMs + 1_000);
    assert.equal(roles(again), 'signing retiring');
    assert.notEqual(await sign(again, 'shop/web-a'), oldKey);
    assert.equal((await dataOf(here.store))['previous.key'], undefined);
  });

  test('given up by force, in an emergency; and nobody puts it back', async () => {
    const here = world();
    const keeper = await here.open();
    const second = await here.open('two', false);
    await sign(keeper, 'shop/web-a');
    await sign(second, 'shop/web-b');
    await ask(here, { do: 'rotate' });
    await pass(here.clock, [keeper, second], announceMs + 60_000);
    const [signs, retiring] = keeper.anchors.map((one) => one.fingerprint);
    await ask(here, { do: 'drop-anchor', anchor: signs, force: true });
    await keeper.look();
    assert.match(await answer(here), /signs; rotate first/);
    await ask(here, { do: 'drop-anchor', anchor: retiring, force: true });
    await pass(here.clock, [keeper, second], 60_000);
    for (const one of [keeper, second]) assert.equal(roles(one), 'signing');
  });

  test('a root that nears its end is replaced by itself', async () => {
    const here = world();
    const keeper = await here.open();
    const before = keeper.authority.pem();
    await pass(here.clock, [keeper], 8.1 * 365 * 86_400_000);
    await pass(here.clock, [keeper], 3 * hourMs);
    assert.equal(roles(keeper), 'signing');
    assert.notEqual(keeper.authority.pem(), before);
    assert.deepEqual([keeper.counters.rotations, keeper.counters.dropped], [1, 1]);
  });

  test('replicas that start together share the root of the fastest', async () => {
    const here = world();
    const opened = await Promise.all([here.open('one', false), here.open('two', false), here.open('three', false)]);
    assert.equal(new Set(opened.map((one) => one.authority.pem())).size, 1);
  });
});
