/** Reference lines: HAProxy, nginx and a bare relay. They have none of the mesh's features but what is said here. */
import { mkdtemp, readFile, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import type { CertificateFiles } from '../../support/certs.ts';
import { accepts } from '../../support/nginx.ts';
import { freePort, Program } from '../../support/pair-process.ts';
import { onCore, proxyCore } from '../cores.ts';
import { haproxyVersion, nginxVersion } from '../load/programs.ts';
import type { Contestant, PairFiles, Wire } from './subject.ts';

const haproxyHead = `global
  nbthread 1
  maxconn 8192
defaults
  timeout connect 5s
  timeout client 60s
  timeout server 60s
`;

async function startHaproxy(folder: string, body: string, port: number): Promise<Program> {
  const file = join(await mkdtemp(join(folder, 'haproxy-')), 'haproxy.cfg');
  await writeFile(file, haproxyHead + body);
  const program = new Program('taskset', onCore(proxyCore, 'haproxy', ['-db', '-f', file]));
  await program.until('listening', () => accepts('127.0.0.1', port));
  return program;
}

interface Hop {
  readonly mode: 'http' | 'tcp';
  readonly port: number;
  readonly bind?: string;
  readonly rule?: string;
  readonly to: number;
  readonly server?: string;
}

const hop = ({ mode, port, bind = '', rule = '', to, server = '' }: Hop): string => `
listen hop-${port}
  mode ${mode}
  bind 127.0.0.1:${port} ${bind}
  ${rule}
  server application 127.0.0.1:${to} ${server}
`;

export const haproxySingle = (folder: string, applicationPort: number, wire: Wire): Contestant => ({
  key: 'haproxy',
  name: `haproxy ${haproxyVersion()}`,
  async start() {
    const port = await freePort();
    const proto = wire === 'h2' ? 'proto h2' : '';
    const body = hop({ mode: 'http', port, bind: proto, to: applicationPort, server: proto });
    return { port, programs: [await startHaproxy(folder, body, port)] };
  },
});

/** HAProxy takes certificate and key from one file. */
async function combined(files: CertificateFiles): Promise<string> {
  const file = `${files.certificateFile}.both`;
  await writeFile(file, (await readFile(files.certificateFile, 'utf8')) + (await readFile(files.keyFile, 'utf8')), {
    mode: 0o600,
  });
  return file;
}

export interface HaproxyPairOptions {
  readonly files: PairFiles;
  readonly mode: 'http' | 'tcp';
  readonly applicationPort: number;
}

/** Two HAProxys with mutual TLS 1.3 between them; the chain is checked, SPIFFE IDs are not: 2.6 matches no URI names. */
export const haproxyPair = (folder: string, { files, mode, applicationPort }: HaproxyPairOptions): Contestant => ({
  key: 'haproxy',
  name: `haproxy ${haproxyVersion()}`,
  async start() {
    const [port, wirePort] = [await freePort(), await freePort()];
    const [client, server] = [await combined(files.client), await combined(files.server)];
    const tls = 'ssl ssl-min-ver TLSv1.3';
    const bind = `${tls} crt ${server} ca-file ${files.server.trustFile} verify required`;
    const upstream = `${tls} crt ${client} ca-file ${files.client.trustFile} verify required`;
    const inbound = await startHaproxy(folder, hop({ mode, port: wirePort, bind, to: applicationPort }), wirePort);
    const outbound = await startHaproxy(folder, hop({ mode, port, to: wirePort, server: upstream }), port);
    return { port, programs: [outbound, inbound], wirePort };
  },
});

export const nginxSingle = (folder: string, applicationPort: number): Contestant => ({
  key: 'nginx',
  name: `nginx ${nginxVersion()}`,
  async start() {
    const port = await freePort();
    const work = await mkdtemp(join(folder, 'nginx-proxy-'));
    const file = join(work, 'nginx.conf');
    const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
      (path) => `${path}_temp_path ${work}/${path};`,
    );
    await writeFile(
      file,
      `daemon off; master_process off; user root; worker_processes 1; pid ${work}/nginx.pid; error_log stderr;
events { worker_connections 4096; }
http {
  access_log off; keepalive_requests 1000000000;
  ${paths.join(' ')}
  upstream application { server 127.0.0.1:${applicationPort}; keepalive 128; keepalive_requests 1000000000; }
  server {
    listen 127.0.0.1:${port};
    location / {
      proxy_pass http://application; proxy_http_version 1.1; proxy_set_header Connection "";
      proxy_set_header X-Request-Id $request_id;
    }
  }
}
`,
    );
    const args = ['-c', file, '-p', work, '-e', 'stderr'];
    const program = new Program('taskset', onCore(proxyCore, 'nginx', args));
    await program.until('listening', () => accepts('127.0.0.1', port));
    return { port, programs: [program] };
  },
});

/** A program of this folder in Node, with the young generation that the sidecar's image has. */
async function startScript(script: string, args: readonly string[]): Promise<Program> {
  const path = join(import.meta.dirname, '..', script);
  const flags = ['--disable-warning=ExperimentalWarning', '--max-semi-space-size=16'];
  const program = new Program('taskset', onCore(proxyCore, process.execPath, [...flags, path, ...args]));
  await program.until('listening', () => program.stdout.includes('listening'));
  return program;
}

/** Bytes from socket to socket in Node: what the platform costs before anything is looked at. */
export const bareRelay = (applicationPort: number): Contestant => ({
  key: 'relay',
  name: 'bare node relay',
  async start() {
    const port = await freePort();
    return { port, programs: [await startScript('relay.ts', ['plain', String(port), String(applicationPort)])] };
  },
});

/** Weft's codecs alone. */
export const floor = (applicationPort: number, wire: Wire): Contestant => ({
  key: 'floor',
  name: 'own codecs alone',
  async start() {
    const port = await freePort();
    return { port, programs: [await startScript('floor.ts', [wire, String(port), String(applicationPort)])] };
  },
});

/** The relay in a pair with mutual TLS between. */
export const bareTlsRelays = (files: PairFiles, applicationPort: number): Contestant => ({
  key: 'relay',
  name: 'bare node relays',
  async start() {
    const [port, wirePort] = [await freePort(), await freePort()];
    const args = (of: CertificateFiles): readonly string[] => [of.certificateFile, of.keyFile, of.trustFile];
    const inbound = await startScript('relay.ts', [
      'server',
      String(wirePort),
      String(applicationPort),
      ...args(files.server),
    ]);
    const outbound = await startScript('relay.ts', ['client', String(port), String(wirePort), ...args(files.client)]);
    return { port, programs: [outbound, inbound], wirePort };
  },
});
