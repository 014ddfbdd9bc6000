/** go-spiffe and java-spiffe in a local mesh: in a pod, from its sidecar's socket; on the host, as a virtual machine that joined by token. */
import assert from 'node:assert/strict';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { after, before, describe, test } from 'node:test';
import { copyToPod, execInPod } from '../support/exec-in-pod.ts';
import { startMesh, type TestMesh } from '../support/mesh.ts';
import { Program } from '../support/pair-process.ts';
import { goSpiffe, startGoSpiffe } from '../support/peers/go-spiffe.ts';
import { javaSpiffe, startJavaSpiffe } from '../support/peers/java-spiffe.ts';
import { linesOf } from '../support/workload-apis.ts';

const weft = join(import.meta.dirname, '..', '..', 'cli', 'main.ts');
const SOCKET = '/var/run/weft/workload-api/api.sock';
const idOf = (account: string): string => `spiffe://cluster.local/ns/others/sa/${account}`;

const objects = `
apiVersion: v1
kind: Namespace
metadata: { name: others, labels: { weft.dev/inject: enabled } }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: python, namespace: others }
---
apiVersion: v1
kind: ServiceAccount
metadata: { name: vm, namespace: others }
---
apiVersion: v1
kind: Pod
metadata:
  name: python
  namespace: others
  labels: { app: python }
  annotations: { proxy.weft.dev/workload-api: enabled }
spec:
  serviceAccountName: python
  terminationGracePeriodSeconds: 2
  containers:
    - name: python
      image: python
      args: ["-m", "http.server", "--bind", "::", "8000"]
      ports: [{ containerPort: 8000 }]
      readinessProbe: { tcpSocket: { port: 8000 }, periodSeconds: 1 }
`;

interface RunningPod {
  readonly metadata: { readonly uid: string };
  readonly status: { readonly podIP: string };
}

describe('the Workload API in a mesh', { timeout: 240_000 }, () => {
  let mesh: TestMesh;
  let pod: RunningPod;
  const programs: Program[] = [];
  before(async () => {
    await goSpiffe();
    await javaSpiffe();
    mesh = await startMesh('wl-api');
    await mesh.kubectl.apply(objects);
    await mesh.kubectl('wait', '--for=condition=Ready', 'pod/python', '-n', 'others', '--timeout=90s');
    pod = await mesh.kubectl.json<RunningPod>('get', 'pod', 'python', '-n', 'others');
  });
  after(async () => {
    for (const program of programs) program.child.kill();
    await mesh?.stop();
  });

  test('a program in the pod gets the identity of the pod, and JWT-SVIDs, from its sidecar', async () => {
    const peer = '/tmp/spiffe-peer';
    await copyToPod(mesh.name, pod.metadata.uid, await goSpiffe(), peer);
    const command = ['env', `SPIFFE_ENDPOINT_SOCKET=unix://${SOCKET}`, peer];
    const watched = JSON.parse(
      (await execInPod(mesh.name, pod.metadata.uid, [...command, 'watch', '1'])).split('\n')[0] ?? '',
    );
    assert.deepEqual([watched.svid, watched.verified, watched.domains], [idOf('python'), true, ['cluster.local']]);
    const jwt = JSON.parse(await execInPod(mesh.name, pod.metadata.uid, [...command, 'jwt', 'bank']));
    assert.deepEqual([jwt.jwt, jwt.asked, jwt.refusedElsewhere], [idOf('python'), idOf('python'), true]);
  });

  test('a virtual machine joins by token and speaks mutual TLS with the sidecar of a pod', async () => {
    const folder = join(mesh.folder, 'vm');
    mkdirSync(folder);
    const { stdout } = await mesh.weft('token', 'create', '-n', 'others', '--service-account', 'vm');
    const [token = ''] = /weft-join-\S{43}/.exec(stdout) ?? [];
    const trust = await mesh.kubectl(
      'get',
      'configmap',
      'weft-trust',
      '-n',
      'others',
      '-o',
      'jsonpath={.data.root-cert\\.pem}',
    );
    writeFileSync(join(folder, 'root-cert.pem'), trust);
    const address = await mesh.kubectl(
      'get',
      'service',
      'weft-control-plane',
      '-n',
      'weft-system',
      '-o',
      'jsonpath={.spec.clusterIP}',
    );
    const socket = join(folder, 'api.sock');
    const args = ['--socket', socket, '--control-plane', `${address}:15012`, '--trust', join(folder, 'root-cert.pem')];
    const env = { ...process.env, WEFT_JOIN_TOKEN: token };
    const agent = new Program(
      process.execPath,
      [weft, 'identity', 'serve', ...args, '--state', join(folder, 'state')],
      { env },
    );
    programs.push(agent);
    await agent.until('serving', () => agent.stderr.includes(`serving the Workload API for ${idOf('vm')}`));
    const ask = async (alpn: string): Promise<Program> => {
      const client = await startGoSpiffe(socket, 'request', `${pod.status.podIP}:8000`, alpn, idOf('python'));
      programs.push(client);
      await client.exitCode();
      return client;
    };
    const client = await ask('weft-http/1.1');
    const [line] = linesOf(client);
    assert.match(String(line?.['answer']), /^HTTP\/1\.1 200 /, client.stdout + client.stderr);
    assert.deepEqual(
      { ...line, answer: '' },
      { answer: '', alpn: 'weft-http/1.1', version: 'TLS 1.3', group: 'X25519MLKEM768' },
    );
    const request = 'GET / HTTP/1.1\r\nhost: peer\r\nconnection: close\r\n\r\n';
    const address8000 = `${pod.status.podIP}:8000`;
    const java = await startJavaSpiffe(socket, 'dial', address8000, idOf('python'), 'weft-http/1.1', request);
    programs.push(java);
    assert.equal(await java.exitCode(), 0, java.stdout + java.stderr);
    const [said] = linesOf(java);
    assert.match(String(said?.['answer']), /^HTTP\/1\.1 200 /);
    assert.deepEqual({ ...said, answer: '' }, { answer: '', version: 'TLSv1.3', alpn: 'weft-http/1.1' });
    // The sidecar knows who called.
    const metrics = await (await fetch(`http://${pod.status.podIP}:15020/metrics`)).text();
    assert.match(
      metrics,
      new RegExp(`weft_requests_total\\{[^}]*source_principal="${idOf('vm')}"[^}]*response_code="200"`),
    );
  });
});
