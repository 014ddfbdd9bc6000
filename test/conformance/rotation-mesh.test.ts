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
import { Shop } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';

const TTL_MS = 100_000;
/** Renewed after half of it at the latest; the rest is for a busy machine. */
const RENEWED_WITHIN_MS = TTL_MS / 2 + 20_000;
/** Old enough for all pods to be so at once, young enough to outlive an outage of more than half a life. */
const FRESH_MS = 20_000;
const ANSWERED_MIN = 20_000;
const PODS = ['caller', 'server-a', 'server-b'] as const;
const settings = `
apiVersion: weft.dev/v1alpha1
kind: Mesh
metadata: { name: default }
spec:
  mtls: { mode: STRICT }
  certificates: { ttl: ${TTL_MS / 1_000}s, announce: 5s }
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
  const signedMs = ({ leaf }: Held): number => leaf.validToDate.getTime() - TTL_MS;
  const weft = async (...args: readonly string[]): Promise<string> => {
    const { stdout, code } = await running.weft(...args);
    if (code !== 0) throw new Error(stdout);
    return stdout;
  };
  /** As the control plane keeps them; `weft ca status` shows the same. */
  const anchors = async (): Promise<readonly Anchor[]> => {
    const secret = ['get', 'secret', 'weft-ca', '-n', 'weft-system', '-o', 'jsonpath={.data.state\\.json}'];
    const text = Buffer.from(await running.kubectl(...secret), 'base64').toString();
    return (JSON.parse(text) as { readonly anchors: readonly Anchor[] }).anchors;
  };
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
    await running.kubectl.apply(settings);
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

  test('an intermediate of an outside authority takes the place of the root', async () => {
    const first = outside.intermediate('first');
    await bring(first);
    await waitFor('it signs', async () =>
      (await anchorsOf('signing'))[0]?.fingerprint === outside.fingerprint ? true : undefined,
    );
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

  test('the control plane is killed, and away for longer than half of a certificate lives', async () => {
    // Who renews just before it goes has to live on what is left; the others are older then.
    const held = await everyPodShows('a fresh leaf', (one) => Date.now() - signedMs(one) < FRESH_MS);
    const before = await shown();
    assert.deepEqual(before.map(serialOf), held.map(serialOf));
    const shop = new Shop(running);
    await shop.killControlPlane();
    const overMs = Math.max(...before.map(signedMs)) + TTL_MS / 2 + 2_000;
    await waitFor('half of a life to be over', () => (Date.now() > overMs ? true : undefined), TTL_MS, 500);
    assert.deepEqual((await shown()).map(serialOf), before.map(serialOf), 'nobody could renew');
    await shop.reviveControlPlane();
    await everyPodShows('another leaf', (one) => !before.map(serialOf).includes(serialOf(one)));
    await load.isSteady();
  });

  test('the root in between goes by itself once nothing can chain to it any more', async (t) => {
    const [between] = await anchorsOf('retiring');
    assert.ok(between !== undefined);
    await assert.rejects(weft('ca', 'drop-anchor', '--anchor', between.fingerprint), /is not dropped: /);
    await waitFor(
      'it to be gone',
      async () => {
        const gone = !(await anchors()).some((one) => one.fingerprint === between.fingerprint);
        if (gone) assert.ok(Date.now() >= between.neededUntilMs, 'not before its time');
        return gone ? true : undefined;
      },
      between.neededUntilMs - Date.now() + 15_000,
      2_000,
    );
    assert.deepEqual(
      (await anchors()).map((one) => one.fingerprint),
      [outside.fingerprint],
    );
    await load.isSteady();
    const ways = await load.ways();
    assert.equal(ways.http2.opened, 1, 'one HTTP/2 connection from beginning to end');
    assert.equal(ways.keptTcp.opened, 1, 'one TCP connection from beginning to end');
    const answered = await load.answered();
    assert.ok(answered > ANSWERED_MIN, `${answered} answers`);
    t.diagnostic(`${answered} answered, none failed: ${JSON.stringify(ways)}`);
  });
});
