/** Intermediates of an outside authority: what is taken, what it gives out, and what is said of what cannot be taken. */
import assert from 'node:assert/strict';
import { execFileSync } from 'node:child_process';
import { generateKeyPairSync } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { formatSpiffeId } from '@weft/policies/identity/spiffe-id';
import { buildCsr } from '@weft/policies/identity/x509/csr';
import { encodePem } from '@weft/policies/identity/x509/pem';
import { keySigner } from '@weft/policies/identity/x509/signature';
import { systemClock } from '@weft/policies/kit/clock';
import { Secret } from '@weft/policies/kit/secret';
import { trustDomain } from '../testing/harness.ts';
import { loadAuthority, materialOf } from './material.ts';

const web = formatSpiffeId({ trustDomain: trustDomain(), namespace: 'shop', serviceAccount: 'web' });
const dnsName = 'weft-control-plane.weft-system.svc';
const options = { clock: systemClock, issued: { trustDomain: trustDomain(), dnsName } };
const caUsage = ['basicConstraints=critical,CA:TRUE', 'keyUsage=critical,keyCertSign,cRLSign'];

describe('authority of an intermediate', () => {
  const dir = mkdtempSync(join(tmpdir(), 'weft-ca-material-'));
  const path = (name: string): string => join(dir, name);
  const read = (name: string): string => readFileSync(path(name), 'utf8');
  const openssl = (...args: readonly string[]): string =>
    execFileSync('openssl', [...args], { encoding: 'utf8', stdio: ['ignore', 'pipe', 'pipe'] });

  /** `issuer` undefined: self-signed. */
  const make = (name: string, issuer: string | undefined, extensions: readonly string[], algorithm = 'P-256'): void => {
    const key =
      algorithm === 'RSA' ? ['-algorithm', 'RSA'] : ['-algorithm', 'EC', '-pkeyopt', `ec_paramgen_curve:${algorithm}`];
    openssl('genpkey', ...key, '-out', path(`${name}.key`));
    const signed = issuer === undefined ? [] : ['-CA', path(`${issuer}.crt`), '-CAkey', path(`${issuer}.key`)];
    const added = extensions.flatMap((one) => ['-addext', one]);
    const subject = ['-subj', `/O=Example/CN=${name}`, '-days', '30', '-out', path(`${name}.crt`)];
    openssl('req', '-x509', '-new', '-key', path(`${name}.key`), ...signed, ...added, ...subject);
  };
  const load = (
    name: string,
    more: { readonly chain?: readonly string[]; readonly roots?: string; readonly key?: string } = {},
  ) =>
    loadAuthority(
      {
        chainPem: [name, ...(more.chain ?? [])].map((one) => read(`${one}.crt`)).join(''),
        anchorsPem: more.roots === undefined ? undefined : read(`${more.roots}.crt`),
        privateKeyPem: new Secret(read(`${more.key ?? name}.key`)),
      },
      options,
    );
  const errorOf = (...args: Parameters<typeof load>): string => {
    const loaded = load(...args);
    return loaded.ok ? 'taken' : loaded.error;
  };

  before(() => {
    make('root', undefined, caUsage, 'RSA');
    make('other', undefined, caUsage);
    make('middle', 'root', ['basicConstraints=critical,CA:TRUE,pathlen:1', 'keyUsage=critical,keyCertSign']);
    make('issuing', 'middle', [
      'basicConstraints=critical,CA:TRUE,pathlen:0',
      'keyUsage=critical,keyCertSign',
      'nameConstraints=critical,permitted;URI:cluster.local,permitted;DNS:svc,permitted;DNS:svc.cluster.local',
    ]);
    make('elsewhere', 'root', [...caUsage, 'nameConstraints=critical,permitted;URI:other.example']);
    make('tight', 'root', ['basicConstraints=critical,CA:TRUE,pathlen:0', 'keyUsage=critical,keyCertSign']);
    make('below', 'tight', caUsage);
    make('leaf', 'root', ['basicConstraints=critical,CA:FALSE']);
  });
  after(() => rmSync(dir, { recursive: true, force: true }));

  test('the chain goes with the leaf, the root does not, and openssl takes it under an RSA root with name constraints', async () => {
    const loaded = load('issuing', { chain: ['middle'], roots: 'root' });
    assert.ok(loaded.ok, loaded.ok ? '' : loaded.error);
    const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
    const csr = await buildCsr({ spiffeId: web, publicKey: keys.publicKey, sign: keySigner(keys.privateKey) });
    const signed = await loaded.value.signWorkload(csr, web, 3_600_000);
    assert.ok(signed.ok);
    const server = await loaded.value.signServer(keys.publicKey, [dnsName], 3_600_000);
    assert.equal(signed.value.chain.length, 3);
    assert.equal(loaded.value.trustAnchors.length, 1);
    for (const [name, { chain }] of [
      ['workload', signed.value],
      ['server', server],
    ] as const) {
      writeFileSync(path(`${name}.pem`), encodePem('CERTIFICATE', chain[0] ?? new Uint8Array(0)));
      writeFileSync(
        path(`${name}-chain.pem`),
        chain
          .slice(1)
          .map((der) => encodePem('CERTIFICATE', der))
          .join(''),
      );
      const files = ['-CAfile', path('root.crt'), '-untrusted', path(`${name}-chain.pem`), path(`${name}.pem`)];
      assert.match(openssl('verify', ...files), /OK/);
    }
  });

  test('a root in the chain itself is its anchor', () => {
    const loaded = load('issuing', { chain: ['middle', 'root'] });
    assert.ok(loaded.ok);
    assert.equal(loaded.value.intermediates.length, 2);
    assert.equal(loaded.value.trustAnchors.length, 1);
  });

  test('what is wrong is named', () => {
    assert.match(
      errorOf('issuing', { chain: ['middle'] }),
      /the chain does not verify: .*CN=middle" is issued by .*CN=root"/,
    );
    assert.match(errorOf('issuing', { roots: 'root' }), /the chain does not verify: .*CN=issuing"/);
    assert.match(errorOf('issuing', { chain: ['middle'], roots: 'other' }), /does not verify/);
    assert.match(
      errorOf('elsewhere', { roots: 'root' }),
      /may not issue for spiffe:\/\/cluster\.local \(name constraints\)/,
    );
    assert.match(errorOf('below', { chain: ['tight'], roots: 'root' }), /CN=tight" allows 0 authorities below it/);
    assert.match(errorOf('leaf', { roots: 'root' }), /CN=leaf" is not a certificate of an authority/);
    assert.match(errorOf('other', { key: 'middle' }), /ca\.key is not the key of the first certificate/);
    assert.match(errorOf('root'), /ca\.key: rsa is not ECDSA P-256/);
  });

  test('the shapes of cert-manager and of Istio', () => {
    const key = read('issuing.key');
    const ours = materialOf({ 'tls.crt': 'chain', 'tls.key': key, 'ca.crt': 'root' });
    assert.ok(ours.ok && ours.value !== undefined);
    assert.deepEqual([ours.value.chainPem, ours.value.anchorsPem, ours.value.names.key], ['chain', 'root', 'tls.key']);
    const theirs = materialOf({ 'ca-cert.pem': 'a', 'cert-chain.pem': 'b', 'ca-key.pem': key, 'root-cert.pem': 'c' });
    assert.ok(theirs.ok && theirs.value !== undefined);
    assert.deepEqual([theirs.value.chainPem, theirs.value.anchorsPem], ['a\nb', 'c']);
    assert.deepEqual(materialOf({}), { ok: true, value: undefined });
    assert.deepEqual(materialOf({ 'tls.key': key }), { ok: false, error: 'there is tls.key and no tls.crt' });
  });
});
