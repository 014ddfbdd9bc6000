/**
 * A real kube-apiserver with its etcd, for tests that are about what such a server takes. Nothing fetches one: whoever
 * has `kube-apiserver` and `etcd` names their folder in WEFT_TEST_KUBE_BIN.
 */
import { type ChildProcess, spawn } from 'node:child_process';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { once } from 'node:events';
import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { request } from 'node:https';
import { join } from 'node:path';
import { stringify } from 'yaml';
import { freePort } from './pair-process.ts';
import { waitFor } from './wait.ts';

const startMsMax = 120_000;
const pollMs = 200;

export interface KubeApiserver {
  readonly adminKubeconfig: string;
  /** For whoever has a token. */
  kubeconfigWith(token: string): string;
  close(): Promise<void>;
}

export const kubeBinFolder = (): string | undefined => process.env['WEFT_TEST_KUBE_BIN'];

export async function startKubeApiserver(bin: string, dir: string, serviceCidr: string): Promise<KubeApiserver> {
  mkdirSync(dir, { recursive: true });
  const [etcdPort, peerPort, port] = [await freePort(), await freePort(), await freePort()];
  const adminToken = randomBytes(24).toString('hex');
  const tokens = join(dir, 'tokens.csv');
  writeFileSync(tokens, `${adminToken},admin,admin,"system:masters"\n`, { mode: 0o600 });
  const accountKey = join(dir, 'accounts.pem');
  const { privateKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
  writeFileSync(accountKey, privateKey.export({ type: 'pkcs8', format: 'pem' }), { mode: 0o600 });
  const etcd = `http://127.0.0.1:${etcdPort}`;
  const children = [
    start(bin, 'etcd', dir, [
      '--data-dir',
      join(dir, 'etcd'),
      '--listen-client-urls',
      etcd,
      '--advertise-client-urls',
      etcd,
      '--listen-peer-urls',
      `http://127.0.0.1:${peerPort}`,
      '--unsafe-no-fsync',
    ]),
    start(bin, 'kube-apiserver', dir, [
      `--etcd-servers=${etcd}`,
      `--service-cluster-ip-range=${serviceCidr}`,
      `--cert-dir=${join(dir, 'certificates')}`,
      `--token-auth-file=${tokens}`,
      `--service-account-key-file=${accountKey}`,
      `--service-account-signing-key-file=${accountKey}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      '--authorization-mode=Node,RBAC',
      // Whoever makes accounts of namespaces is not running here.
      '--disable-admission-plugins=ServiceAccount',
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${port}`,
    ]),
  ];
  const server = `https://127.0.0.1:${port}`;
  const close = async (): Promise<void> => {
    for (const child of children.toReversed()) await stop(child);
  };
  try {
    await waitFor('kube-apiserver to be ready', () => isReady(server, adminToken), startMsMax, pollMs);
  } catch (error) {
    await close();
    throw error;
  }
  const kubeconfigWith = (token: string): string =>
    kubeconfig(server, join(dir, 'certificates', 'apiserver.crt'), token);
  return { adminKubeconfig: kubeconfigWith(adminToken), kubeconfigWith, close };
}

function start(bin: string, name: string, dir: string, args: readonly string[]): ChildProcess {
  return spawn('sh', ['-c', `exec "$0" "$@" >"${join(dir, name)}.log" 2>&1`, join(bin, name), ...args], {
    stdio: 'ignore',
  });
}

async function stop(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill('SIGKILL');
  await once(child, 'exit');
}

/** Before it is ready nobody knows its certificate, and nothing but its word on that is asked. */
function isReady(server: string, token: string): Promise<true | undefined> {
  return new Promise((resolve) => {
    const asked = request(
      `${server}/readyz`,
      { rejectUnauthorized: false, headers: { authorization: `Bearer ${token}` }, timeout: 2_000 },
      (answer) => {
        answer.resume();
        resolve(answer.statusCode === 200 ? true : undefined);
      },
    );
    asked.on('error', () => resolve(undefined));
    asked.end();
  });
}

function kubeconfig(server: string, certificateFile: string, token: string): string {
  const certificate = readFileSync(certificateFile).toString('base64');
  return stringify({
    apiVersion: 'v1',
    kind: 'Config',
    clusters: [{ name: 'test', cluster: { server, 'certificate-authority-data': certificate } }],
    users: [{ name: 'user', user: { token } }],
    contexts: [{ name: 'test', context: { cluster: 'test', user: 'user' } }],
    'current-context': 'test',
  });
}
