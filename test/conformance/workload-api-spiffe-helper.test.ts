/**
 * spiffe-helper keeps the identities of `weft identity serve` in files and tells a process when they change. It comes from
 * no registry that this repository builds from: whoever has the program names it in WEFT_TEST_SPIFFE_HELPER.
 */
import assert from 'node:assert/strict';
import { createPublicKey, X509Certificate } from 'node:crypto';
import { mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { createLocalJWKSet, type JSONWebKeySet, jwtVerify } from 'jose';
import { freePort, Program } from '../support/pair-process.ts';
import { waitFor } from '../support/wait.ts';
import { shopIdentity, startWorkloadApis, type WorkloadApis } from '../support/workload-apis.ts';

const helper = process.env['WEFT_TEST_SPIFFE_HELPER'] ?? '';
/** Says so for each signal. */
const listener = `process.on('SIGUSR1', () => console.log('renewed')); setInterval(() => {}, 1000); console.log('started');`;

const configuration = (socket: string, files: string, pidFile: string, healthPort: number): string => `
agent_address = "${socket}"
cert_dir = "${files}"
pid_file_name = "${pidFile}"
renew_signal = "SIGUSR1"
svid_file_name = "svid.pem"
svid_key_file_name = "key.pem"
svid_bundle_file_name = "bundle.pem"
jwt_svids = [{ jwt_audience = "bank", jwt_extra_audiences = ["shop"], jwt_svid_file_name = "bank.token" }]
jwt_bundle_file_name = "keys.json"
health_checks { listener_enabled = true, bind_port = ${healthPort} }
`;

describe('spiffe-helper', {
  timeout: 180_000,
  skip: helper === '' && 'WEFT_TEST_SPIFFE_HELPER names no program',
}, () => {
  let apis: WorkloadApis;
  let told: Program;
  let running: Program;
  let health = '';
  let files = '';
  const read = (name: string): string => readFileSync(join(files, name), 'utf8');
  const complete = async (): Promise<true | undefined> =>
    (await fetch(`${health}/ready`)).status === 200 ? true : undefined;

  before(async () => {
    apis = await startWorkloadApis('spiffe-helper');
    const socket = await apis.serve('vm');
    files = join(apis.folder, 'files');
    mkdirSync(files);
    told = apis.add(new Program(process.execPath, ['-e', listener]));
    await told.until('started', () => told.stdout.includes('started'));
    const pidFile = join(apis.folder, 'pid');
    writeFileSync(pidFile, String(told.pid));
    const port = await freePort();
    health = `http://127.0.0.1:${port}`;
    const config = join(apis.folder, 'helper.conf');
    writeFileSync(config, configuration(socket, files, pidFile, port));
    running = apis.add(new Program(helper, ['-config', config]));
    await waitFor('all files', complete);
  });
  after(() => apis?.stop());

  test('certificate, key and bundle belong together; the key is for its owner', () => {
    const leaf = new X509Certificate(read('svid.pem'));
    assert.equal(leaf.subjectAltName, `URI:${shopIdentity('vm')}`);
    assert.ok(leaf.verify(new X509Certificate(read('bundle.pem')).publicKey));
    assert.match(read('key.pem'), /^-----BEGIN PRIVATE KEY-----/);
    const pem = (key: ReturnType<typeof createPublicKey>) => key.export({ type: 'spki', format: 'pem' });
    assert.equal(pem(createPublicKey(read('key.pem'))), pem(leaf.publicKey));
    assert.equal(statSync(join(files, 'key.pem')).mode & 0o77, 0);
  });

  test('the JWT-SVID is verified by the keys of the JWT bundle', async () => {
    const bundles: Readonly<Record<string, string>> = JSON.parse(read('keys.json'));
    const jwks: JSONWebKeySet = JSON.parse(Buffer.from(bundles['cluster.local'] ?? '', 'base64').toString());
    const { payload } = await jwtVerify(read('bank.token'), createLocalJWKSet(jwks), { audience: 'shop' });
    assert.equal(payload.sub, shopIdentity('vm'));
    assert.deepEqual(payload.aud, ['bank', 'shop']);
  });

  test('the next certificate comes into the files, and the process is told', async () => {
    const first = read('svid.pem');
    const signals = (): number => told.stdout.split('renewed').length - 1;
    const before = signals();
    await waitFor('a renewal', () => (signals() > before ? true : undefined), 60_000);
    assert.notEqual(read('svid.pem'), first);
    assert.ok(new X509Certificate(read('svid.pem')).verify(new X509Certificate(read('bundle.pem')).publicKey));
    assert.equal(running.ended, false, running.stderr);
  });
});
