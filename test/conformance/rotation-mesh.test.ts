/**
 * Leaves, roots and intermediates change in a local mesh of real processes, and its control plane is killed, under a load
 * that never stops. Each step is seen from outside, in the certificates that the sidecars show. The tests build on one another.
 */
import assert from 'node:assert/strict';
import { X509Certificate } from 'node:crypto';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { startMesh, type TestMesh } from '../support/mesh.ts';
import { chainsTo, type Held, shownAt } from '../support/rotation/held.ts';
import { HTTP_PORT, NAMESPACE, SteadyLoad, serverPod } from '../support/rotation/load.ts';
import { type Intermediate, OutsideCa } from '../support/rotation/outside-ca.ts';
import { processesOf, Shop } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';

const TTL_MS = 80_000;
/** For the outage, which is to last longer than half of it and leave a busy machine time to start the control plane. */
const LONG_TTL_MS = 240_000;
/** Renewed after half of it at the latest; the rest is for a busy machine. */
const RENEWED_WITHIN_MS = TTL_MS / 2 + 20_000;
/** Above what the tier gives each test. */
const LONG = { timeout: 400_000 };
const ANSWERED_MIN = 20_000;
const PODS = ['caller', 'server-a', 'server-b'] as const;
const settings = (ttlMs: number): string => `
apiVersion: weft.dev/v1alpha1
kind: Mesh
metadata: { name: default }
spec:
  mtls: { mode: STRICT }
  certificates: { ttl: ${ttlMs / 1_000}s, announce: 5s }
`;

interface Anchor {
  readonly fingerprint: string;
  readonly role: string;
  readonly neededUntilMs: number;
}

describe('certificates change under a load that never stops', { timeout: 600_000 }, () => {
  let running: TestMesh;
  let load: SteadyLoad;
  let firstRoot: Anchor;
  let outside: OutsideCa;
  const ips = new Map<string, string>();

  const addressOf = (name: string): Promise<string> =>
    running.kubectl('get', 'pod', name, '-n', NAMESPACE, '-o', 'jsonpath={.status.podIP}');
  const shownBy = (pod: string): Promise<Held> => shownAt(ips.get(pod) ?? '', HTTP_PORT, 'weft-h2');
  const leftMs = ({ leaf }: Held): number => leaf.validToDate.getTime() - Date.now();
  const weft = async (...args: readonly string[]): Promise<string> => {
    const { stdout, code } = await running.weft(...args);
    if (code !== 0) throw new Error(stdout);
    return stdout;
  };
  const secretOf = async (key: string): Promise<string> => {
    const path = `jsonpath={.data.${key.replace('.', '\\.')}}`;
    const text = await running.kubectl('get', 'secret', 'weft-ca', '-n', 'weft-system', '-o', path);
    return Buffer.from(text, 'base64').toString();
  };
  /** As the control plane keeps them; `weft ca status` shows the same. */
  const anchors = async (): Promise<readonly Anchor[]> =>
    (JSON.parse(await secretOf('state.json')) as { readonly anchors: readonly Anchor[] }).anchors;
  const shown = (): Promise<readonly Held[]> => Promise.all(PODS.map(shownBy));
  const serialOf = ({ leaf }: Held): string => leaf.serialNumber;
  const anchorsOf = async (role: string): Promise<readonly Anchor[]> =>
    (await anchors()).filter((one) => one.role === role);

  /** Until all of them do at once. */
  const everyPodShows = (what: string, holds: (held: Held) => boolean): Promise<readonly Held[]> =>
    waitFor(
      `every pod to show ${what}`,
      async () => {
        const all = await shown();
        return all.every(holds) ? all : undefined;
      },
      RENEWED_WITHIN_MS,
      1_000,
    );
  const renewed = async (): Promise<void> => {
    const before = (await shown()).map(serialOf);
    await everyPodShows('another leaf', (one) => !before.includes(serialOf(one)));
  };

  before(async () => {
    running = await startMesh('rotation');
    const folder = join(running.folder, 'outside');
    mkdirSync(folder);
    outside = new OutsideCa(folder);
    await running.kubectl.apply(settings(TTL_MS));
    load = await SteadyLoad.start(running, ['server-a', 'server-b']);
    for (const pod of PODS) ips.set(pod, await addressOf(pod));
  });
  after(() => running?.stop());

  test('the root takes the place of another; too early the old one is not dropped, and its holders are named', async () => {
    const before = await anchors();
    assert.deepEqual(
      before.map((one) => one.role),
      ['signing'],
    );
    const [{ issuer } = assert.fail()] = (await shown()).map((one) => one.leaf);
    await weft('ca', 'rotate');
    firstRoot = await waitFor('the new root signs', async () => (await anchorsOf('retiring'))[0]);
    assert.equal(firstRoot.fingerprint, before[0]?.fingerprint);
    const early = await running.weft('ca', 'drop-anchor', '--anchor', firstRoot.fingerprint);
    assert.notEqual(early.code, 0);
    for (const pod of PODS) assert.match(early.stdout, new RegExp(`is not dropped: .*\\b${NAMESPACE}/${pod}\\b`));
    assert.match(await weft('ca', 'status'), new RegExp(`^${firstRoot.fingerprint.slice(0, 16)} +retiring `, 'm'));
    // Admission and injection go by certificates of the new root as well.
    await running.kubectl.apply(JSON.stringify(serverPod('server-late')));
    await running.kubectl('wait', '--for=condition=Ready', 'pod/server-late', '-n', NAMESPACE, '--timeout=60s');
    await everyPodShows('a leaf under the new root', ({ leaf }) => leaf.issuer !== issuer);
    await load.isSteady();
  });

  /** As docs/guides/certificates.md has it. */
  const bring = async ({ certificateFile, keyFile }: Intermediate): Promise<void> => {
    const files = { 'ca.crt': certificateFile, 'ca.key': keyFile, 'root-cert.pem': outside.rootFile };
    const from = Object.entries(files).map(([key, file]) => `--from-file=${key}=${file}`);
    const create = ['create', 'secret', 'generic', 'weft-ca', '-n', 'weft-system', ...from];
    const file = join(running.folder, 'secret.json');
    writeFileSync(file, await running.kubectl(...create, '--dry-run=client', '-o', 'json'), { mode: 0o600 });
    await running.kubectl('patch', 'secret', 'weft-ca', '-n', 'weft-system', '--type=merge', `--patch-file=${file}`);
  };
  const comesFrom =
    ({ certificatePem }: Intermediate) =>
    (held: Held): boolean =>
      chainsTo(held, new X509Certificate(outside.rootPem)) &&
      held.intermediates[0]?.fingerprint256 === new X509Certificate(certificatePem).fingerprint256;

  test('an intermediate of an outside authority takes the place of the root, also through a restart', async () => {
    const first = outside.intermediate('first');
    await bring(first);
    // Whoever starts meanwhile goes on with the key that stands no longer where it stood.
    await waitFor('the key of before to be kept', async () =>
      (await secretOf('previous.key')) !== '' ? true : undefined,
    );
    for (const pid of processesOf(running.name, /control-plane\/main/)) process.kill(pid, 'SIGKILL');
    await waitFor(
      'it signs',
      async () => ((await anchorsOf('signing'))[0]?.fingerprint === outside.fingerprint ? true : undefined),
      60_000,
      250,
    );
    assert.equal(await secretOf('previous.key'), '');
    assert.equal((await anchorsOf('retiring')).length, 2);
    await everyPodShows('a leaf under the first intermediate', comesFrom(first));
    await load.isSteady();
  });

  test('the first root is dropped by force when nobody shows it any more', async () => {
    const drop = ['ca', 'drop-anchor', '--anchor', firstRoot.fingerprint];
    await assert.rejects(weft(...drop), /is not dropped: /);
    assert.match(await weft(...drop, '--force'), /is dropped/);
    assert.ok(!(await anchors()).some((one) => one.fingerprint === firstRoot.fingerprint));
    await load.isSteady();
  });

  test('another intermediate of the same root takes its place, and no anchor changes', async () => {
    const second = outside.intermediate('second');
    const before = await anchors();
    await bring(second);
    await everyPodShows('a leaf under the second intermediate', comesFrom(second));
    assert.deepEqual(
      (await anchors()).map((one) => one.fingerprint),
      before.map((one) => one.fingerprint),
    );
    await load.isSteady();
  });

  test('leaves are renewed twice', async () => {
    await renewed();
    await renewed();
    await load.isSteady();
  });

  test('the control plane is killed, and away for longer than half of a certificate lives', LONG, async () => {
    await running.kubectl.apply(settings(LONG_TTL_MS));
    // An outage that begins just before somebody would have renewed is outlived by nobody.
    await everyPodShows('a fresh leaf', (one) => leftMs(one) > LONG_TTL_MS - RENEWED_WITHIN_MS);
    const before = (await shown()).map(serialOf);
    const shop = new Shop(running);
    await shop.killControlPlane();
    const overMs = Date.now() + LONG_TTL_MS / 2 + 1_000;
    await waitFor('half of a life to be over', () => (Date.now() > overMs ? true : undefined), LONG_TTL_MS, 500);
    assert.deepEqual((await shown()).map(serialOf), before, 'nobody could renew');
    await shop.reviveControlPlane();
    await everyPodShows('another leaf', (one) => !before.includes(serialOf(one)));
    await load.isSteady();
  });

  test('the root in between goes by itself once nothing can chain to it any more', LONG, async (t) => {
    const [between] = await anchorsOf('retiring');
    assert.ok(between !== undefined);
    await assert.rejects(weft('ca', 'drop-anchor', '--anchor', between.fingerprint), /is not dropped: /);
    const goneMs = await waitFor(
      'it to be gone',
      async () => ((await anchors()).some((one) => one.fingerprint === between.fingerprint) ? undefined : Date.now()),
      between.neededUntilMs - Date.now() + 15_000,
      2_000,
    );
    assert.ok(goneMs >= between.neededUntilMs, 'not before its time');
    assert.deepEqual(
      (await anchors()).map((one) => one.fingerprint),
      [outside.fingerprint],
    );
    await load.isSteady();
    const answered = await load.answered();
    assert.ok(answered > ANSWERED_MIN, `${answered} answers`);
    t.diagnostic(`${answered} answered, none failed: ${JSON.stringify(await load.ways())}`);
  });
});
