/**
 * Generated AuthorizationPolicies, translated and given to Weft and to a real Envoy (its RBAC and JWT filters): the same
 * decisions on generated requests of callers with several certificates, addresses and tokens, and the same rule named.
 * What differs is about paths, and explained below. WEFT_SEED takes another seed.
 */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { canonicalTarget, isAmbiguous, otherReadings, pathLength } from '@weft/sidecar/route/path';
import fc from 'fast-check';
import { testFolder } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';
import { type Asked, addresses, asked, authorizationSet, identities, tokens } from './arbitrary-authorization.ts';
import { AuthorizationRig, managerOf, networkFiltersOf } from './authorization-rig.ts';

/** The same traffic in every run; another seed looks for what this one does not meet. */
const SEED = 20_779;
const TIME_MS = 240_000;
const SETS = 40;
const REQUESTS_PER_SET = 100;
const DENIED_SHARE = { min: 0.2, max: 0.9 };
const LOG_MS = 20_000;

const seed = Number(process.env['WEFT_SEED'] ?? SEED);
const folder = testFolder('authorization');
const sets = fc.sample(authorizationSet, { numRuns: SETS, seed });
const rig = new AuthorizationRig();

before(() => rig.start(folder, sets));
after(async () => {
  await rig.stop();
  rmSync(folder, { recursive: true, force: true });
});

interface Seen {
  readonly set: number;
  readonly asked: Asked;
  readonly weft: { readonly status: number; readonly name: string };
  readonly envoy: { readonly status: number; readonly name: string };
}

/**
 * Where an application may read a path in another way, Weft refuses it or judges it in that reading too: Weft is the
 * stricter one, never Envoy. And Weft judges a path in its one form (RFC 3986 section 6.2.2: `%c3` is `%C3`), of which
 * Envoy says the same as Weft.
 */
async function isExplained({ set, asked: one, weft, envoy }: Seen): Promise<boolean> {
  const path = canonicalTarget(one.target);
  const refused = weft.status === 403 || weft.status === 400;
  if (path === undefined) return refused;
  const odd = isAmbiguous(path.slice(0, pathLength(path))) || otherReadings(path, true).length > 0;
  if (odd && refused && envoy.status === 200) return true;
  return path !== one.target && (await rig.ask('envoy', set, { ...one, target: path })).status === weft.status;
}

async function compare(set: number): Promise<readonly Seen[]> {
  const seen: Seen[] = [];
  for (const one of fc.sample(asked, { numRuns: REQUESTS_PER_SET, seed: seed + set })) {
    const [weft, envoy] = await Promise.all([rig.ask('weft', set, one), rig.ask('envoy', set, one)]);
    const both = { set, asked: one, weft, envoy };
    if (weft.status !== envoy.status && !(await isExplained(both))) {
      const { token, ...rest } = one;
      const rules = sets[set] ?? { trustedHops: 0, policies: [] };
      const filters = JSON.stringify(managerOf(rules)['http_filters']);
      assert.fail(
        `Weft says ${weft.status}, Envoy ${envoy.status} to ${JSON.stringify({ ...rest, token: tokens[token] })} of ${JSON.stringify(rules)} as ${filters}`,
      );
    }
    seen.push(both);
  }
  return seen;
}

describe(`AuthorizationPolicies on Weft and on Envoy, seed ${seed}`, { timeout: TIME_MS }, () => {
  const seen: Seen[] = [];

  test('the same requests are let in', async (t) => {
    for (const all of await Promise.all(sets.map((_, set) => compare(set)))) seen.push(...all);
    const differ = seen.filter(({ weft, envoy }) => weft.status !== envoy.status).length;
    t.diagnostic(`${seen.length} requests, ${SETS} sets of policies; ${differ} paths that Weft takes in another way`);
    const denied = seen.filter(({ weft }) => weft.status === 403).length / seen.length;
    assert.ok(denied > DENIED_SHARE.min && denied < DENIED_SHARE.max, `${denied} of the requests were denied`);
  });

  test('the same connections are let in, of which no requests are known', async (t) => {
    let [passed, all] = [0, 0];
    const askAs = async (set: number, identity: number, address: number): Promise<void> => {
      const ask = (side: 'weft' | 'envoy'): Promise<boolean> => rig.passes(side, set, identity, address);
      const [weft, envoy] = await Promise.all([ask('weft'), ask('envoy')]);
      const rules = sets[set] ?? { trustedHops: 0, policies: [] };
      const filters = weft === envoy ? '' : JSON.stringify(networkFiltersOf(rules));
      const who = `${identities[identity]} from ${addresses[address]}`;
      assert.equal(weft, envoy, `${who}: ${JSON.stringify(rules)} as ${filters}`);
      all++;
      if (weft) passed++;
    };
    for (const set of sets.keys()) {
      const each = [...identities.keys()].flatMap((identity) =>
        [...addresses.keys()].map((address) => askAs(set, identity, address)),
      );
      await Promise.all(each);
    }
    t.diagnostic(`${all} connections, ${passed} of which let in`);
    assert.ok(passed > 0 && passed < all);
  });

  test('the same rules are named for what is denied', async () => {
    const denied = seen.filter(({ weft, envoy }) => weft.status === 403 && envoy.status === 403);
    const logged = (): true | undefined => {
      const [weft, envoy] = [rig.details('weft'), rig.details('envoy')];
      return denied.every((one) => weft.has(one.weft.name) && envoy.has(one.envoy.name)) || undefined;
    };
    await waitFor('both logs', logged, LOG_MS);
    const [weft, envoy] = [rig.details('weft'), rig.details('envoy')];
    let named = 0;
    for (const { asked: one, ...both } of denied) {
      const [own, other] = [weft.get(both.weft.name) ?? '', envoy.get(both.envoy.name) ?? ''];
      const [, rule] = /^rbac_access_denied_matched_policy\[(.+)\]$/.exec(other) ?? [];
      assert.match(own, /^rbac_access_denied_matched_policy\[.+\]$/, JSON.stringify(one));
      // Envoy names nothing where no rule allowed; Weft names its filter, also where it refused a path.
      if (rule === undefined || rule === 'none' || own.includes('[weft.rbac.')) continue;
      if (otherReadings(one.target, true).length > 0) continue;
      assert.equal(own, other, JSON.stringify(one));
      named++;
    }
    assert.ok(named > 0, 'no rule was named');
  });
});
