/** Bundles of other trust domains over a restart of all replicas, while the endpoint of the partner is away. */
import assert from 'node:assert/strict';
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { setImmediate as turn } from 'node:timers/promises';
import { parseKind } from '@weft/policies/crds/kinds';
import { rootNamed } from '@weft/policies/identity/foreign-anchors.testing';
import { formatSpiffeBundle, parseSpiffeBundle, type SpiffeBundle } from '@weft/policies/identity/spiffe-bundle';
import { ManualClock } from '@weft/policies/kit/clock';
import { SeededPrng } from '@weft/policies/kit/prng';
import { err } from '@weft/policies/kit/result';
import { FileKept } from '../static/kept-file.ts';
import { BundleKeeper, type KeptStore } from './bundle-keeper.ts';
import { Federation, type FetchBundle } from './federation.ts';
import { KEPT_CHARS_MAX, readKeptBundles, writeKeptBundles } from './kept-bundles.ts';
import { MeshTrust } from './mesh-trust.ts';

const folder = mkdtempSync(join(tmpdir(), 'weft-kept-'));
after(() => rmSync(folder, { recursive: true, force: true }));

const endpoint = { url: 'https://partner.example:8443' };
const hour = 3_600_000;
const startMs = Date.parse('2026-06-01T00:00:00Z');

function meshWith(entry: object) {
  const parsed = parseKind('Mesh', {
    kind: 'Mesh',
    metadata: { name: 'default' },
    spec: { trust: { federation: [{ trustDomain: 'partner.example', ...entry }] } },
  });
  assert.ok(parsed.ok, JSON.stringify(parsed));
  return parsed.value;
}

const bundleText = (sequence: number, ...anchors: readonly Uint8Array[]): string =>
  formatSpiffeBundle({
    anchors,
    jwtKeys: [
      { kty: 'OKP', crv: 'Ed25519', x: '11qYAYKxCrfVS_7TyWQHOg7hcvPapiMlrwIaaPcHURo', kid: 'one', use: 'jwt-svid' },
    ],
    sequence,
    refreshHintSeconds: 600,
  });

async function settle(): Promise<void> {
  for (let i = 0; i < 50; i++) await turn();
}

/** A control plane as far as bundles go; `fetch` answers for the partner's endpoint. */
async function replica(dir: string, fetch: FetchBundle, clock: ManualClock, isLeader = () => true) {
  const lines: string[] = [];
  const write = (message: string, fields: object = {}): void => void lines.push(`${message} ${JSON.stringify(fields)}`);
  const log = { info: write, warn: write };
  const file = new FileKept(dir);
  const saving: Promise<unknown>[] = [];
  const store: KeptStore = {
    load: () => file.load(),
    save: (data) => {
      const saved = file.save(data);
      saving.push(saved);
      return saved;
    },
  };
  const keeper = new BundleKeeper({ store, clock, log, isLeader });
  const trust = new MeshTrust((id) => id);
  const federation = new Federation({
    trust,
    ownAnchors: () => [],
    fetch,
    kept: await keeper.load(),
    clock,
    prng: new SeededPrng(1),
    log,
    onFetched: () => keeper.check(),
  });
  keeper.follow(() => federation.good());
  const step = async (ms: number): Promise<void> => {
    await settle();
    clock.advance(ms);
    await settle();
    await Promise.all(saving);
    await settle();
  };
  const stop = (): void => {
    federation.stop();
    keeper.stop();
  };
  return { trust, federation, step, stop, lines };
}

const away: FetchBundle = async () => err('connect ECONNREFUSED');
const answering =
  (text: () => string): FetchBundle =>
  async () =>
    parseSpiffeBundle(text());

/** One that has fetched the partner's bundle, and is gone. */
async function hasKept(dir: string, root: Parameters<typeof bundleText>[1]) {
  const first = await replica(
    dir,
    answering(() => bundleText(7, root)),
    new ManualClock(startMs),
  );
  first.federation.follow(meshWith({ endpoint }));
  await first.step(10);
  first.stop();
  return first;
}

describe('bundles of other trust domains', () => {
  test('hold from the start of the next control plane, with the time at which they were fetched', async () => {
    const dir = mkdtempSync(join(folder, 'a-'));
    const root = await rootNamed('partner');
    const first = await hasKept(dir, root);
    assert.equal(first.trust.federated.length, 1);
    assert.equal(statSync(join(dir, 'federation.json')).mode & 0o777, 0o600);
    const second = await replica(dir, away, new ManualClock(startMs + 24 * hour));
    second.federation.follow(meshWith({ endpoint }));
    const [held] = second.trust.federated;
    assert.equal(held?.anchorsPem, first.trust.federated[0]?.anchorsPem, 'at once, before any answer');
    assert.match(held?.jwks ?? '', /"kid":"one"/);
    await second.step(0);
    assert.deepEqual(second.federation.problems(), [
      'partner.example: connect ECONNREFUSED; what was fetched at 2026-06-01T00:00:00.000Z holds',
    ]);
    const age = second.federation.families().find(({ name }) => name.endsWith('bundle_age_seconds'));
    assert.equal(age?.samples[0]?.value, 24 * 3_600);
    second.stop();
  });

  test('one that is older than what was kept is not taken after a restart either', async () => {
    const dir = mkdtempSync(join(folder, 'b-'));
    const root = await rootNamed('partner');
    const first = await hasKept(dir, root);
    const replayed = await rootNamed('given up long ago');
    const second = await replica(
      dir,
      answering(() => bundleText(6, replayed)),
      new ManualClock(startMs),
    );
    second.federation.follow(meshWith({ endpoint }));
    await second.step(0);
    assert.match(second.federation.problems()[0] ?? '', /sequence 6 is older than 7, which is held/);
    assert.equal(second.trust.federated[0]?.anchorsPem, first.trust.federated[0]?.anchorsPem);
    second.stop();
  });

  test('are not taken up again when the Mesh says something else of the partner, or nothing', async () => {
    const dir = mkdtempSync(join(folder, 'c-'));
    const root = await rootNamed('partner');
    await hasKept(dir, root);
    const second = await replica(dir, away, new ManualClock(startMs));
    second.federation.follow(meshWith({ endpoint: { url: 'https://elsewhere.example' } }));
    assert.deepEqual(second.trust.federated, []);
    second.federation.follow(undefined);
    await second.step(2_000);
    assert.deepEqual(JSON.parse(readFileSync(join(dir, 'federation.json'), 'utf8')), {}, 'forgotten');
    second.stop();
  });

  test('are written when they change, and once an hour as confirmed; never by a replica that does not lead', async () => {
    const dir = mkdtempSync(join(folder, 'd-'));
    let leads = false;
    const root = await rootNamed('partner');
    const clock = new ManualClock(startMs);
    const one = await replica(
      dir,
      answering(() => bundleText(7, root)),
      clock,
      () => leads,
    );
    one.federation.follow(meshWith({ endpoint }));
    await one.step(10);
    assert.throws(() => statSync(join(dir, 'federation.json')), /ENOENT/);
    leads = true;
    const fetched = (): string =>
      JSON.parse(JSON.parse(readFileSync(join(dir, 'federation.json'), 'utf8'))['partner.example']).fetched;
    await one.step(600_000);
    await one.step(1_000);
    const before = fetched();
    for (let i = 0; i < 4; i++) await one.step(600_000);
    assert.equal(fetched(), before);
    for (let i = 0; i < 3; i++) await one.step(600_000);
    assert.notEqual(fetched(), before);
    one.stop();
  });

  test('a file of anything is said and left aside; what can be read of it holds', async () => {
    const dir = mkdtempSync(join(folder, 'e-'));
    for (const text of ['', '{', '[]', '{"partner.example":1}']) {
      writeFileSync(join(dir, 'federation.json'), text);
      const one = await replica(dir, away, new ManualClock(startMs));
      one.federation.follow(meshWith({ endpoint }));
      assert.deepEqual(one.trust.federated, []);
      assert.match(one.lines.join(), /kept bundles of federated trust domains not read/);
      one.stop();
    }
    const { kept, faults } = readKeptBundles({ 'a.example': 'x', 'b.example': '{}' });
    assert.deepEqual([kept.length, faults.length], [0, 2]);
  });

  test('have room: a large one does not keep out the others, and is named', async () => {
    const root = await rootNamed('partner');
    const bundleOf = (copies: number): SpiffeBundle => {
      const parsed = parseSpiffeBundle(bundleText(1, ...Array.from({ length: copies }, () => root)));
      assert.ok(parsed.ok);
      return parsed.value;
    };
    const [large, small] = [bundleOf(60), bundleOf(1)];
    const keep = (trustDomain: string, bundle: SpiffeBundle) => ({
      trustDomain,
      configured: 'x',
      fetchedUnixMs: startMs,
      bundle,
    });
    const many = Array.from({ length: 30 }, (_, i) => keep(`large-${i}.example`, large));
    const { data, leftOut } = writeKeptBundles([...many, keep('small.example', small)]);
    assert.ok(leftOut.length > 0 && !leftOut.includes('small.example'));
    assert.equal(Object.keys(data).length, 31 - leftOut.length);
    assert.ok(Object.values(data).join('').length <= KEPT_CHARS_MAX);
  });
});
