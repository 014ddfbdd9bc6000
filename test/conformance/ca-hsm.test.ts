/** A signing key that never leaves its token: SoftHSM2 in the place of the hardware, openssl as the judge. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync, X509Certificate } from 'node:crypto';
import { dlopen, getRawPointer } from 'node:ffi';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { FileKeySource, Pkcs11KeySource } from '@weft/control-plane/ca/file-sources';
import { trustDomain } from '@weft/control-plane/testing/harness';
import { formatSpiffeId } from '@weft/policies/identity/spiffe-id';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import { encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { systemClock } from '@weft/policies/kit/clock';

const modules = ['/usr/lib/softhsm/libsofthsm2.so', '/usr/lib/x86_64-linux-gnu/softhsm/libsofthsm2.so'];
const module = modules.find((path) => existsSync(path)) ?? '';
assert.notEqual(module, '', `none of ${modules.join(', ')}: install softhsm2`);
const pin = '839201';
const hourMs = 3_600_000;
const web = formatSpiffeId({ trustDomain: trustDomain(), namespace: 'shop', serviceAccount: 'web' });
const options = { clock: systemClock, issued: { trustDomain: trustDomain(), dnsName: undefined } };

describe('signing key on a token', () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-hsm-'));
  const path = (name: string): string => join(dir, name);
  const openssl = (...args: readonly string[]): string =>
    execFileSync('openssl', [...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });
  let source: Pkcs11KeySource;

  before(() => {
    writeFileSync(path('softhsm2.conf'), `directories.tokendir = ${dir}/tokens\nobjectstore.backend = file\n`);
    execFileSync('mkdir', [path('tokens')]);
    // The module reads it when it is loaded into this process.
    process.env['SOFTHSM2_CONF'] = path('softhsm2.conf');
    const softhsm = (...args: readonly string[]): string =>
      execFileSync('softhsm2-util', [...args], { encoding: 'utf8' });
    softhsm('--init-token', '--free', '--label', 'mesh', '--pin', pin, '--so-pin', '12345678');
    openssl('genpkey', '-algorithm', 'EC', '-pkeyopt', 'ec_paramgen_curve:P-256', '-out', path('key.pem'));
    openssl(
      ...[
        'req',
        '-x509',
        '-new',
        '-key',
        path('key.pem'),
        '-sha256',
        '-days',
        '30',
        '-subj',
        '/O=Example/CN=Token root',
      ],
      ...['-addext', 'basicConstraints=critical,CA:TRUE', '-addext', 'keyUsage=critical,keyCertSign,cRLSign'],
      ...['-out', path('ca.crt')],
    );
    softhsm('--import', path('key.pem'), '--token', 'mesh', '--label', 'weft', '--id', 'a1', '--pin', pin);
    rmSync(path('key.pem'));
    writeFileSync(path('pin'), `${pin}\n`);
    source = new Pkcs11KeySource(dir, setup('weft'), options);
  });
  after(() => {
    source.stop();
    delete process.env['SOFTHSM2_CONF'];
    rmSync(dir, { recursive: true, force: true });
  });

  const setup = (keyLabel: string, more: { readonly tokenLabel?: string; readonly pinFile?: string } = {}) => ({
    module,
    tokenLabel: 'mesh',
    keyLabel,
    keyIdHex: undefined,
    pinFile: path('pin'),
    ...more,
  });

  const refusal = async (wrong: ReturnType<typeof setup>, folder = dir): Promise<string> => {
    const other = new Pkcs11KeySource(folder, wrong, options);
    try {
      const read = await other.read();
      return read.ok ? 'taken' : read.error;
    } finally {
      other.stop();
    }
  };

  test('openssl verifies what it signs, many at a time', async () => {
    const read = await source.read();
    assert.ok(read.ok, read.ok ? '' : read.error);
    const authority = read.value?.authority;
    assert.ok(authority !== undefined);
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const csr = await buildCsr({ spiffeId: web, publicKey: keys.publicKey, sign: keySigner(keys.privateKey) });
    const leaves = await Promise.all(Array.from({ length: 100 }, () => authority.signWorkload(csr, web, hourMs)));
    const ders = leaves.map((leaf) => {
      assert.ok(leaf.ok);
      const [der] = leaf.value.chain;
      assert.ok(der !== undefined);
      return der;
    });
    assert.equal(new Set(ders.map((der) => new X509Certificate(der).serialNumber)).size, 100);
    writeFileSync(path('leaf.pem'), encodePem('CERTIFICATE', ders[0] ?? new Uint8Array(0)));
    assert.match(openssl('verify', '-x509_strict', '-CAfile', path('ca.crt'), path('leaf.pem')), /OK/);
    const root = new X509Certificate(readFileSync(path('ca.crt')));
    assert.ok(ders.every((der) => new X509Certificate(der).verify(root.publicKey)));
  });

  test('the key is nowhere outside the token', () => {
    const files = readdirSync(dir, { recursive: true, encoding: 'utf8' }).map((name) => join(dir, name));
    const texts = files.filter((file) => statSync(file).isFile()).map((file) => readFileSync(file, 'latin1'));
    assert.ok(texts.length > 3);
    assert.ok(texts.every((text) => !text.includes('PRIVATE KEY')));
  });

  test('what is wrong is named: token, key, module, another certificate', async () => {
    assert.match(
      await refusal(setup('weft', { tokenLabel: 'other' })),
      /no token is labelled "other"; there are "mesh"/,
    );
    assert.match(await refusal(setup('nothing')), /has no private key with label "nothing"/);
    assert.match(await refusal({ ...setup('weft'), module: '/usr/lib/no-such-module.so' }), /no-such-module/);
    const stranger = mkdtempSync(join(tmpdir(), 'weft-hsm-stranger-'));
    try {
      openssl(
        ...['req', '-x509', '-newkey', 'ec', '-pkeyopt', 'ec_paramgen_curve:P-256', '-nodes', '-subj', '/CN=stranger'],
        ...['-keyout', join(stranger, 'key.pem'), '-out', join(stranger, 'ca.crt')],
      );
      assert.match(await refusal(setup('weft'), stranger), /is not the key of the first certificate/);
    } finally {
      rmSync(stranger, { recursive: true, force: true });
    }
  });

  test('a wrong PIN is named, and tried once: tokens lock themselves', () => {
    writeFileSync(path('wrong-pin'), '000000');
    // Who is logged in stays so within a process: this takes one of its own. The second time the PIN is right.
    const script = `
      import { writeFileSync } from 'node:fs';
      import { Pkcs11KeySource } from '@weft/control-plane/ca/file-sources';
      import { systemClock } from '@weft/policies/kit/clock';
      const [dir, setup, pin] = JSON.parse(process.argv[1]);
      const issued = { trustDomain: 'cluster.local', dnsName: undefined };
      const source = new Pkcs11KeySource(dir, setup, { clock: systemClock, issued });
      const said = async () => { const read = await source.read(); console.log(read.ok ? 'taken' : read.error); };
      await said();
      await said();
      writeFileSync(setup.pinFile, pin);
      await said();
      source.stop();`;
    const parts = JSON.stringify([dir, setup('weft', { pinFile: path('wrong-pin') }), pin]);
    const flags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning'];
    const root = join(import.meta.dirname, '..', '..');
    const output = execFileSync(process.execPath, [...flags, '--eval', script, parts], {
      encoding: 'utf8',
      cwd: root,
      timeout: 30_000,
    });
    const [first = '', second = '', third = ''] = output.trim().split('\n');
    assert.match(first, /C_Login answered CKR_PIN_INCORRECT/);
    assert.match(second, /refused the PIN of .*wrong-pin, which is not tried again until it is another/);
    assert.equal(third, 'taken');
    assert.ok(!output.includes('000000') && !output.includes(pin));
  });

  test('a session that somebody ends is opened anew, with its login, and nothing fails', async () => {
    const read = await source.read();
    const authority = read.ok ? read.value?.authority : undefined;
    assert.ok(authority !== undefined);
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const csr = await buildCsr({ spiffeId: web, publicKey: keys.publicKey, sign: keySigner(keys.privateKey) });
    assert.ok((await authority.signWorkload(csr, web, hourMs)).ok);
    closeAllSessions(module);
    assert.ok((await authority.signWorkload(csr, web, hourMs)).ok);
    closeAllSessions(module);
    const leaves = await Promise.all(Array.from({ length: 20 }, () => authority.signWorkload(csr, web, hourMs)));
    assert.ok(leaves.every((leaf) => leaf.ok));
  });

  test('files: an intermediate of an outside authority', async () => {
    const there = new FileKeySource(path('none'), options);
    assert.deepEqual(await there.read(), { ok: true, value: undefined });
  });
});

/** Of this process, in whatever thread, and on every token: as a token does that is reset. */
function closeAllSessions(path: string): void {
  const { functions } = dlopen(path, {
    C_GetSlotList: { return: 'uint64', arguments: ['uint8', 'pointer', 'pointer'] },
    C_CloseAllSessions: { return: 'uint64', arguments: ['uint64'] },
  });
  const slots = Buffer.allocUnsafeSlow(64 * 8).fill(0);
  const count = Buffer.allocUnsafeSlow(8).fill(0);
  count.writeBigUInt64LE(64n);
  assert.equal(functions.C_GetSlotList(1, getRawPointer(slots), getRawPointer(count)), 0n);
  const total = Number(count.readBigUInt64LE());
  assert.ok(total > 0);
  for (let index = 0; index < total; index += 1)
    assert.equal(functions.C_CloseAllSessions(slots.readBigUInt64LE(index * 8)), 0n);
}
