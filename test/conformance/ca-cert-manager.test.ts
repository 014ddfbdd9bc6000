/** The control plane asks an issuer of cert-manager for its authority; the test answers in the issuer's place. */
import assert from 'node:assert/strict';
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { ca as caCommand } from '@weft/cli/commands/ca';
import type { ClusterServing } from '@weft/control-plane/cluster';
import { type ServerSide, signFor } from '@weft/control-plane/testing/harness';
import { type OutsideIssuer, outsideIssuer } from '@weft/control-plane/testing/issuer';
import { encodePem } from '@weft/policies/identity/x509/pem';
import { z } from 'zod';
import { clientSide, startReplica } from '../integration/control-plane-replica.fixture.ts';
import { type ClusterRig, eventually, run, startClusterRig } from '../integration/control-plane-rig.fixture.ts';
import { freePort } from '../support/pair-process.ts';

/** As much of cert-manager's as is used here. */
const definition = `
apiVersion: apiextensions.k8s.io/v1
kind: CustomResourceDefinition
metadata: { name: certificaterequests.cert-manager.io }
spec:
  group: cert-manager.io
  scope: Namespaced
  names: { kind: CertificateRequest, listKind: CertificateRequestList, plural: certificaterequests, singular: certificaterequest }
  versions:
    - name: v1
      served: true
      storage: true
      subresources: { status: {} }
      schema:
        openAPIV3Schema:
          type: object
          properties:
            spec:
              type: object
              required: [issuerRef, request]
              properties:
                issuerRef: { type: object, required: [name], properties: { name: { type: string }, kind: { type: string }, group: { type: string } } }
                request: { type: string, format: byte }
                duration: { type: string }
                isCA: { type: boolean }
                usages: { type: array, items: { type: string } }
            status: { type: object, x-kubernetes-preserve-unknown-fields: true }
`;
/** As an earlier control plane has left it. */
const leftBehind = (name: string): unknown => ({
  apiVersion: 'cert-manager.io/v1',
  kind: 'CertificateRequest',
  metadata: { name: `weft-ca-old-${name}`, labels: { 'weft.dev/certificate-authority': 'weft-ca' } },
  spec: { issuerRef: { name: 'mesh' }, request: '' },
});
const path = '/apis/cert-manager.io/v1/namespaces/weft-system/certificaterequests';
const requests = z.looseObject({
  items: z.array(
    z.looseObject({
      metadata: z.looseObject({ name: z.string() }),
      spec: z.looseObject({ request: z.string() }),
      status: z.looseObject({}).optional(),
    }),
  ),
});
type Asked = z.output<typeof requests>['items'][number];
const secret = z.looseObject({ data: z.record(z.string(), z.string()) });
const web = { namespace: 'shop', serviceAccount: 'web' };
const encoded = (text: string): string => Buffer.from(text, 'utf8').toString('base64');

/** The rights that the chart adds, without Helm. */
function chartRights(): string {
  const file = join(import.meta.dirname, '..', '..', 'charts', 'weft', 'templates', 'control-plane-cert-manager.yaml');
  const lines = readFileSync(file, 'utf8').replaceAll('{{ .Release.Namespace }}', 'weft-system').split('\n');
  return lines.filter((line) => !line.includes('{{') && !line.startsWith('  labels:')).join('\n');
}

describe('an authority whose certificate cert-manager issues', () => {
  let rig: ClusterRig;
  let issuer: OutsideIssuer;
  let starting: Promise<ClusterServing>;
  let running: ClusterServing | undefined;
  let base = '';
  const lines: string[] = [];

  before(async () => {
    [rig, issuer] = await Promise.all([startClusterRig(), outsideIssuer(Date.now())]);
    await rig.apply([definition, chartRights()].join('---\n'));
    await eventually('requests that are left behind', async () => {
      const made = await Promise.all(['a', 'b', 'c', 'd'].map((one) => rig.admin.create(path, leftBehind(one))));
      return made.every((one) => one.ok || one.error.status === 409) ? true : undefined;
    });
    const monitoring = `127.0.0.1:${await freePort()}`;
    base = `http://${monitoring}`;
    starting = startReplica({
      name: 'weft-control-plane-0',
      kubeconfig: rig.accountKubeconfig,
      monitoring,
      env: { WEFT_CA_SOURCE: 'cert-manager', WEFT_CA_ISSUER_NAME: 'mesh', WEFT_CA_DURATION: '720h' },
      write: (message, fields) => void lines.push(`${message} ${JSON.stringify(fields)}`),
    });
  });
  after(async () => {
    await running?.stop();
    await rig?.stop();
  });

  const listed = async (): Promise<readonly Asked[]> => {
    const answer = await rig.admin.get(path);
    return answer.ok ? requests.parse(answer.value).items : [];
  };
  const storedKeys = async (): Promise<readonly string[]> => {
    const answer = await rig.admin.get('/api/v1/namespaces/weft-system/secrets/weft-ca');
    return answer.ok ? Object.keys(secret.parse(answer.value).data) : [];
  };
  const asked = (): Promise<Asked> =>
    eventually('a request', async () =>
      (await listed()).find((one) => one.status === undefined && one.spec.request !== ''),
    );
  const answer = async ({ metadata }: Asked, status: unknown): Promise<void> => {
    const done = await rig.admin.patch(`${path}/${metadata.name}/status`, 'application/merge-patch+json', { status });
    assert.ok(done.ok, done.ok ? '' : done.error.message);
  };
  const csrOf = ({ spec }: Asked): string => Buffer.from(spec.request, 'base64').toString('utf8');
  const issue = async (one: Asked): Promise<void> => {
    // Longer ago than a certificate under the same root is waited for, for clocks that are behind.
    const times = { notBeforeMs: Date.now() - 360_000, notAfterMs: Date.now() + 720 * 3_600_000 };
    await answer(one, {
      conditions: [
        { type: 'Approved', status: 'True', reason: 'cert-manager.io', message: 'approved' },
        { type: 'Ready', status: 'True', reason: 'Issued', message: 'issued' },
      ],
      certificate: encoded(await issuer.sign(csrOf(one), times)),
      ca: encoded(issuer.rootPem),
    });
  };
  const issuerKey = async (server: ServerSide, token: string): Promise<string> => {
    const signed = await signFor(server, { token }, web);
    if (!signed.ok) assert.fail(`${signed.code}: ${signed.details}`);
    const [leaf, intermediate] = signed.response.certificateChain;
    assert.ok(leaf !== undefined && intermediate !== undefined && signed.response.certificateChain.length === 2);
    for (const [name, der] of Object.entries({ leaf, intermediate }))
      writeFileSync(join(rig.dir, `${name}.pem`), encodePem('CERTIFICATE', der));
    return Buffer.from(intermediate).toString('hex');
  };

  test('waits for its certificate and says so; a denied request is reported and made anew', async () => {
    const first = await asked();
    assert.deepEqual(
      { ...first.spec, request: '' },
      {
        issuerRef: { name: 'mesh', kind: 'Issuer', group: 'cert-manager.io' },
        isCA: true,
        usages: ['cert sign', 'crl sign', 'digital signature'],
        duration: '720h',
        request: '',
      },
    );
    const text = await run('openssl', ['req', '-verify', '-noout', '-text'], csrOf(first));
    assert.match(text, /verify OK|self-signature verify OK/i);
    assert.match(text, /Subject: O ?= ?Weft, CN ?= ?Weft cluster\.local/);
    assert.match(text, /CA:TRUE[\s\S]*URI:spiffe:\/\/cluster\.local$/m);
    const waits = await eventually('what is waited for', async () => {
      const ready = await fetch(`${base}/readyz`);
      const said = await ready.text();
      return ready.status === 503 && said.includes(first.metadata.name) ? said : undefined;
    });
    assert.match(waits, /the root certificate \(Secret weft-ca\): CertificateRequest weft-system\/weft-ca-/);
    await answer(first, {
      conditions: [
        { type: 'Denied', status: 'True', reason: 'policy.cert-manager.io', message: 'no authorities here' },
        { type: 'Ready', status: 'False', reason: 'Denied', message: 'denied' },
      ],
    });
    const second = await asked();
    assert.notEqual(csrOf(second), csrOf(first));
    await eventually('an end of what is left behind', async () => ((await listed()).length === 3 ? true : undefined));
    assert.ok(lines.some((line) => /it was denied \(policy\.cert-manager\.io: no authorities here\)/.test(line)));
    assert.match(await (await fetch(`${base}/metrics`)).text(), /ca_problem\{reason="NoAuthority"\} 1/);
    // Nobody waits for events to be written.
    await eventually('an event that says why', async () => {
      const events = JSON.stringify(await rig.admin.get('/api/v1/namespaces/weft-system/events'));
      return /"reason":"NoAuthority","message":"[^"]*no authorities here/.test(events) ? true : undefined;
    });
    await issue(second);
    running = await starting;
    assert.equal((await fetch(`${base}/readyz`)).status, 200);
  });

  test('what it signs chains to the root of the issuer, and it goes on without a failure when it renews', async (t) => {
    assert.ok(running !== undefined);
    const token = await rig.token('web', 'web-a');
    const server = clientSide(running, issuer.rootPem);
    const verified = async (): Promise<void> => {
      const file = (name: string): string => join(rig.dir, `${name}.pem`);
      writeFileSync(file('issuer'), issuer.rootPem);
      const chain = ['-CAfile', file('issuer'), '-untrusted', file('intermediate'), file('leaf')];
      assert.match(await run('openssl', ['verify', '-x509_strict', ...chain], ''), /leaf\.pem: OK/);
    };
    assert.equal((await rig.trustBundle('shop')).trim(), issuer.rootPem.trim());
    const before = await issuerKey(server, token);
    await verified();
    t.mock.method(console, 'log', () => undefined);
    await eventually('the state of whoever leads', async () =>
      (await storedKeys()).includes('state.json') ? true : undefined,
    );
    const kubeconfig = join(rig.dir, 'kubeconfig');
    const [code] = await Promise.all([caCommand.run(['rotate', '--kubeconfig', kubeconfig]), asked().then(issue)]);
    assert.equal(code, 0);
    // Each of these calls has to be answered.
    await eventually('another issuing key', async () =>
      (await issuerKey(server, token)) === before ? undefined : true,
    );
    await verified();
    assert.equal((await rig.trustBundle('shop')).trim(), issuer.rootPem.trim());
    assert.doesNotMatch(lines.join('\n'), /PRIVATE KEY/);
    const kept = (await storedKeys()).filter((name) => name.endsWith('.key'));
    assert.deepEqual(kept, ['ca.key']);
    assert.equal((await listed()).length, 3);
  });
});
