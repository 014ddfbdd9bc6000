/** A folder whose files somebody changes while certificates are signed with what is in it. */
import assert from 'node:assert/strict';
import { generateKeyPairSync } from 'node:crypto';
import { mkdirSync, mkdtempSync, renameSync, rmSync, symlinkSync, unlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, describe, test } from 'node:test';
import { formatSpiffeId } from '@weft/policies/identity/spiffe-id';
import { buildAuthorityCsr, buildCsr } from '@weft/policies/identity/x509/csr';
import { encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { ManualClock } from '@weft/policies/kit/clock';
import { trustDomain } from '../testing/harness.ts';
import { type OutsideIssuer, outsideIssuer } from '../testing/issuer.ts';
import { authorityCondition } from './condition.ts';
import { FileKeySource } from './file-sources.ts';
import { CaKeeper } from './keeper.ts';
import { MemoryCaStore } from './store.ts';

const hourMs = 3_600_000;
const announceMs = 10 * 60_000;
const web = formatSpiffeId({ trustDomain: trustDomain(), namespace: 'shop', serviceAccount: 'web' });
const workload = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const csr = await buildCsr({ spiffeId: web, publicKey: workload.publicKey, sign: keySigner(workload.privateKey) });

type Files = Readonly<Record<string, string>>;

async function intermediate(issuer: OutsideIssuer, nowMs: number): Promise<Files> {
  const { privateKey, publicKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const der = await buildAuthorityCsr({
    subject: { commonName: 'Mesh intermediate' },
    sans: [{ type: 'uri', value: `spiffe://${trustDomain()}` }],
    publicKey,
    sign: keySigner(privateKey),
  });
  const times = { notBeforeMs: nowMs, notAfterMs: nowMs + 90 * 24 * hourMs };
  return {
    'tls.crt': await issuer.sign(encodePem('CERTIFICATE REQUEST', der), times),
    'tls.key': privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    'ca.crt': issuer.rootPem,
  };
}

describe('files that change under a running authority', () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-ca-files-'));
  const clock = new ManualClock();
  let versions = 0;
  after(() => rmSync(dir, { recursive: true, force: true }));

  /** As kubelet changes a mounted Secret: a link to another folder takes the place of the old link. */
  const mount = (files: Files): void => {
    versions += 1;
    const folder = join(dir, `..version-${versions}`);
    mkdirSync(folder);
    for (const [name, text] of Object.entries(files)) writeFileSync(join(folder, name), text, { mode: 0o600 });
    symlinkSync(folder, join(dir, '..data.new'));
    renameSync(join(dir, '..data.new'), join(dir, '..data'));
  };
  const lookAfter = async (keeper: CaKeeper, ms: number): Promise<string> => {
    clock.advance(ms);
    await keeper.look();
    return keeper.anchors.map((one) => one.role).join(' ');
  };
  const signs = async (keeper: CaKeeper): Promise<string> => {
    const leaf = await keeper.authority.signWorkload(csr, web, hourMs, 'shop/web-a');
    assert.ok(leaf.ok);
    return leaf.value.issuerKeyId;
  };

  test('a renewal signs once it has begun for every clock, another root after its announcement, and what is wrong is said and left alone', async () => {
    const [issuer, other] = [await outsideIssuer(clock.unixMs()), await outsideIssuer(clock.unixMs())];
    const first = await intermediate(issuer, clock.unixMs());
    mount(first);
    for (const name of Object.keys(first)) symlinkSync(join('..data', name), join(dir, name));
    const said: string[] = [];
    const write = (message: string, fields: unknown): void => void said.push(`${message} ${JSON.stringify(fields)}`);
    const store = new MemoryCaStore();
    store.put({});
    const opened = await CaKeeper.open({
      store,
      source: new FileKeySource(dir, { clock, issued: { trustDomain: trustDomain(), dnsName: undefined } }),
      clock,
      log: { info: write, warn: write, error: write },
      isLeader: () => true,
      replica: 'one',
      leafMsMax: () => hourMs,
      announceMs: () => announceMs,
    });
    assert.ok(opened.ok, opened.ok ? '' : opened.error);
    const keeper = opened.value;
    const keys = [await signs(keeper)];

    const second = await intermediate(issuer, clock.unixMs());
    mount({ ...second, 'tls.key': first['tls.key'] ?? '' });
    await lookAfter(keeper, 2_000);
    assert.equal(await signs(keeper), keys[0]);
    assert.match(authorityCondition(keeper).message, /tls\.key is not the key of the first certificate in tls\.crt/);
    mount(second);
    assert.equal(await lookAfter(keeper, 2_000), 'signing');
    assert.equal(await signs(keeper), keys[0]);
    assert.equal(await lookAfter(keeper, 5 * 60_000), 'signing');
    keys.push(await signs(keeper));
    assert.notEqual(keys[1], keys[0]);
    assert.deepEqual(keeper.problemsNow(), []);

    mount(await intermediate(other, clock.unixMs()));
    assert.equal(await lookAfter(keeper, 2_000), 'signing announced');
    assert.equal(await signs(keeper), keys[1]);
    assert.equal(await lookAfter(keeper, announceMs), 'signing retiring');
    keys.push(await signs(keeper));
    assert.equal(new Set(keys).size, 3);

    unlinkSync(join(dir, 'tls.key'));
    await lookAfter(keeper, 2_000);
    assert.match(authorityCondition(keeper).message, /the key and its certificate are gone; the last good key goes on/);
    assert.equal(await signs(keeper), keys[2]);
    symlinkSync(join('..data', 'tls.key'), join(dir, 'tls.key'));
    assert.equal(await lookAfter(keeper, 2 * hourMs), 'signing');
    assert.deepEqual(keeper.problemsNow(), []);
    assert.doesNotMatch(said.join('\n'), /PRIVATE KEY/);
    // The files are their owner's: nothing of them is copied into the store.
    const stored = await store.load();
    assert.ok(stored.ok && Object.keys(stored.value?.data.reveal() ?? {}).every((name) => !name.endsWith('.key')));
  });
});
