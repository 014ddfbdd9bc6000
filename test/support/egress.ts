/** A network namespace with servers of two owners, whose connections go to a proxy on 15001; and objects that allow some of them. */
import { execFile, execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { promisify } from 'node:util';
import { stringify } from 'yaml';
import { CertificateFolder } from './certs.ts';

const run = promisify(execFile);
const ip = (...args: string[]): string => execFileSync('ip', args, { encoding: 'utf8' });

export class EgressNamespace {
  readonly name: string;

  constructor(name: string) {
    this.name = name;
  }

  create(): void {
    const inside = (...command: string[]): string => this.inside(...command);
    ip('netns', 'add', this.name);
    inside('ip', 'link', 'set', 'lo', 'up');
    for (const address of ['10.88.0.1', '10.88.0.66']) inside('ip', 'address', 'add', `${address}/32`, 'dev', 'lo');
    for (const address of ['fd88::1', 'fd88::66'])
      inside('ip', 'address', 'add', `${address}/128`, 'dev', 'lo', 'nodad');
    inside('sysctl', '-qw', 'net.ipv4.ip_unprivileged_port_start=0');
    inside('nft', 'add', 'table', 'inet', 't');
    inside('nft', 'add chain inet t out { type nat hook output priority -100; }');
    inside('nft', 'add rule inet t out meta skuid != 1337 meta l4proto tcp redirect to :15001');
  }

  delete(): void {
    ip('netns', 'delete', this.name);
  }

  inside(...command: string[]): string {
    return ip('netns', 'exec', this.name, ...command);
  }

  /** Standard output, or the exit code: 35 is a broken TLS handshake, 52 and 56 a connection that was closed. */
  async curl(...args: string[]): Promise<string> {
    const command = ['netns', 'exec', this.name, 'curl', '-s', '--max-time', '10', ...args];
    const { stdout } = await run('ip', command).catch((error: { stdout?: string; code?: number }) => ({
      stdout: `${error.stdout ?? ''}exit ${error.code}`,
    }));
    return stdout;
  }

  /** Bytes as they are, to an address; what comes back until the connection is closed. */
  raw(address: string, port: number, text: string): string {
    // Who is refused at once has its write answered by a reset; that is an answer, and no reason for a shell to die.
    const script = `trap '' PIPE; exec 3<>/dev/tcp/${address}/${port} && printf '%b' '${text}' >&3 && timeout 10 cat <&3 || true`;
    return this.inside('bash', '-c', script);
  }
}

export async function egressCertificates(folder: string): Promise<string> {
  const authority = await CertificateFolder.make(folder);
  const dnsNames = [
    'api.example.com',
    'v6.example.com',
    'secure.example.com',
    '*.wild.example.com',
    '*.tls.example.com',
  ];
  await authority.issue('server', 'spiffe://outside/server', { dnsNames });
  return authority.trustFile;
}

const http = (number = 80, more: object = {}) => ({ name: `http-${number}`, number, appProtocol: 'http', ...more });
const https = { name: 'https', number: 443, appProtocol: 'tls' };
const external = (name: string, spec: object): string =>
  stringify({ kind: 'ExternalService', metadata: { name, namespace: 'shop' }, spec });
export const mesh = (outbound: string): string =>
  stringify({ kind: 'Mesh', metadata: { name: 'default' }, spec: { outbound } });

/** ExternalServices of every kind, seen from namespace `shop`; the host network stands in for the world outside. */
export function egressWorld(ca: string): string {
  const caCertificates = readFileSync(ca, 'utf8');
  return [
    stringify({
      kind: 'Pod',
      metadata: { name: 'client', namespace: 'shop' },
      spec: { serviceAccountName: 'client', containers: [{ name: 'app' }] },
      status: { podIP: '10.88.9.9' },
    }),
    mesh('RegistryOnly'),
    external('api', { hosts: ['api.example.com', 'v6.example.com'], ports: [http(), https] }),
    external('wild', { hosts: ['*.wild.example.com'], ports: [http(), https] }),
    external('secure', {
      hosts: ['secure.example.com'],
      ports: [http(8080, { targetPort: 443 })],
      tls: { caCertificates },
    }),
    external('below', {
      hosts: ['*.tls.example.com'],
      ports: [http(8080, { targetPort: 443 })],
      tls: { caCertificates },
    }),
    external('misnamed', {
      hosts: ['misnamed.example.org'],
      ports: [http(8080, { targetPort: 443 })],
      tls: { caCertificates },
    }),
    external('unvouched', { hosts: ['api.example.com'], ports: [http(8082, { targetPort: 443 })], tls: {} }),
    external('db', {
      addresses: ['10.88.0.1', 'fd88::1'],
      ports: [{ name: 'db', number: 3306, appProtocol: 'tcp' }],
      resolution: 'Passthrough',
    }),
  ].join('---\n');
}
