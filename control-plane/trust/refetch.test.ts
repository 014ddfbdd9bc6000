/** A token of a partner names a key that nobody has told: its bundle is asked for before its time. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { parseKind } from '@weft/policies/crds/kinds';
import { rootNamed } from '@weft/policies/identity/foreign-anchors.testing';
import { formatSpiffeBundle, parseSpiffeBundle, type SpiffeBundle } from '@weft/policies/identity/spiffe-bundle';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import type { Result } from '@weft/policies/kit/result';
import { Federation } from './federation.ts';
import { MeshTrust } from './mesh-trust.ts';

const domain = 'partner.example';

async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await turn();
}

async function partnered() {
  const clock = new ManualClock(1_800_000_000_000);
  const anchors = [await rootNamed('partner')];
  const bundle = (kid: string): string =>
    formatSpiffeBundle({
      anchors,
      jwtKeys: [{ kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', kid, use: 'jwt-svid' }],
      sequence: 0,
      refreshHintSeconds: 300,
    });
  const endpoint = { kid: 'one', asked: 0, hangs: false };
  const trust = new MeshTrust((id) => id);
  const log = { info: () => undefined, warn: () => undefined };
  const federation = new Federation({
    trust,
    ownAnchors: () => [],
    fetch: async (): Promise<Result<SpiffeBundle, string>> => {
      endpoint.asked += 1;
      if (endpoint.hangs) await new Promise(() => undefined);
      return parseSpiffeBundle(bundle(endpoint.kid));
    },
    clock,
    prng: new SeededPrng(1),
    log,
  });
  const mesh = parseKind('Mesh', {
    kind: 'Mesh',
    metadata: { name: 'default' },
    spec: { trust: { federation: [{ trustDomain: domain, endpoint: { url: 'https://partner.example:8443' } }] } },
  });
  assert.ok(mesh.ok);
  federation.follow(mesh.value);
  await settle();
  const kid = (): string => /"kid":"(\w+)"/.exec(trust.federated[0]?.jwks ?? '')?.[1] ?? '';
  const onDemand = (): number | undefined =>
    federation.families().find(({ name }) => name === 'weft_control_plane_federation_fetches_on_demand_total')
      ?.samples[0]?.value;
  return { clock, endpoint, federation, kid, onDemand };
}

test('a partner is asked at once, by many at a time once, and not again within ten seconds; each is counted', async () => {
  const { clock, endpoint, federation, kid, onDemand } = await partnered();
  assert.deepEqual([endpoint.asked, kid()], [1, 'one']);
  endpoint.kid = 'two';
  await federation.refetch(domain);
  assert.deepEqual([endpoint.asked, kid()], [1, 'one'], 'it has just been asked');
  clock.advance(10_000);
  await Promise.all(Array.from({ length: 100 }, () => federation.refetch(domain)));
  assert.deepEqual([endpoint.asked, kid(), onDemand()], [2, 'two', 1]);
  await federation.refetch('nobody.example');
  for (let passedMs = 0; passedMs < 60_000; passedMs += 1_000) {
    await federation.refetch(domain);
    clock.advance(1_000);
  }
  assert.ok(endpoint.asked <= 8, `asked ${endpoint.asked} times`);
  const before = endpoint.asked;
  clock.advance(300_000);
  await settle();
  assert.equal(endpoint.asked, before + 1, 'and in its time, as ever');
  federation.stop();
});

test('who asks waits five seconds for an endpoint that does not answer, and no longer', async () => {
  const { clock, endpoint, federation } = await partnered();
  clock.advance(10_000);
  endpoint.hangs = true;
  let answered = 0;
  for (let i = 0; i < 3; i++)
    void federation.refetch(domain).then(() => {
      answered += 1;
    });
  await settle();
  assert.deepEqual([endpoint.asked, answered], [2, 0]);
  clock.advance(5_000);
  await settle();
  assert.deepEqual([endpoint.asked, answered], [2, 3]);
  federation.stop();
});
