/** Weft and Envoy with the filters of generated policies in front of an answer, and callers with certificates of their own. */
import { generateKeyPairSync, sign } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { type AddressInfo, connect, createServer, type Socket } from 'node:net';
import { connect as tlsConnect } from 'node:tls';
import { type CertificateFiles, CertificateFolder } from '../support/certs.ts';
import { startEnvoy } from '../support/envoy.ts';
import { bootstrap, cluster, httpListener, type Json, type JsonObject, typed } from '../support/pair-bootstrap.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { startSidecar } from '../support/pair-sidecar.ts';
import { clientIn, Translated } from '../support/translated.ts';
import {
  type Asked,
  type AuthorizationSet,
  addresses,
  ISSUER,
  identities,
  NAMESPACE,
  OWN_PORT,
  tokens,
} from './arbitrary-authorization.ts';
import { IP, type Side } from './origin.ts';

const LOG_FLUSH_MS = '20';
const ANSWER_MS_MAX = 5_000;
const TOKEN_S = 3_600;

const keys = generateKeyPairSync('ec', { namedCurve: 'P-256' });
const base64url = (text: string): string => Buffer.from(text).toString('base64url');

function tokenOf(claims: JsonObject): string {
  const nowS = Math.floor(Date.now() / 1_000);
  const payload = { iss: ISSUER, iat: nowS, exp: nowS + TOKEN_S, ...claims };
  const text = [{ alg: 'ES256', kid: 'k' }, payload].map((part) => base64url(JSON.stringify(part))).join('.');
  const signature = sign('sha256', Buffer.from(text), { key: keys.privateKey, dsaEncoding: 'ieee-p1363' });
  return `${text}.${signature.toString('base64url')}`;
}

const bearers = tokens.map((claims) => (claims === undefined ? '' : tokenOf(claims)));

const authentication: JsonObject = {
  apiVersion: 'weft.dev/v1alpha1',
  kind: 'AuthenticationPolicy',
  metadata: { name: 'users', namespace: NAMESPACE },
  spec: {
    jwt: [
      {
        issuer: ISSUER,
        jwks: {
          inline: JSON.stringify({ keys: [{ ...keys.publicKey.export({ format: 'jwk' }), kid: 'k', alg: 'ES256' }] }),
        },
      },
    ],
  },
};

const isObject = (json: Json | undefined): json is JsonObject =>
  typeof json === 'object' && json !== null && !Array.isArray(json);
const listAt = (json: JsonObject | undefined, name: string): readonly JsonObject[] => {
  const list = json?.[name];
  return Array.isArray(list) ? list.filter(isObject) : [];
};

function chainsOf({ trustedHops, policies }: AuthorizationSet): readonly JsonObject[] {
  const items: JsonObject[] = [
    { apiVersion: 'weft.dev/v1alpha1', kind: 'Mesh', metadata: { name: 'default' }, spec: { trustedHops } },
    {
      kind: 'Pod',
      metadata: { name: 'own', namespace: NAMESPACE },
      spec: { containers: [{ name: 'app' }] },
      status: { phase: 'Running', podIP: '10.1.1.1' },
    },
    authentication,
    ...policies,
  ];
  const listener = new Translated(JSON.stringify({ kind: 'List', items })).resource(
    'listener',
    'inbound',
    clientIn(NAMESPACE, 'own'),
  );
  return listAt(listener, 'filter_chains');
}

/** The connection manager that requests of mesh peers meet. */
export function managerOf(set: AuthorizationSet): JsonObject {
  const chain = chainsOf(set).find((one) => one['name'] === 'other/mesh-http');
  const manager = listAt(chain, 'filters').at(-1)?.['typed_config'];
  if (!isObject(manager)) throw new Error('there is no connection manager');
  return manager;
}

/** What opaque bytes of mesh peers meet. */
export function networkFiltersOf(set: AuthorizationSet): readonly JsonObject[] {
  const chain = chainsOf(set).find((one) => one['name'] === 'other/mesh-tcp');
  return listAt(chain, 'filters').slice(0, -1);
}

const accessLog: JsonObject = {
  name: 'envoy.access_loggers.stdout',
  typed_config: typed('extensions.access_loggers.stream.v3.StdoutAccessLog', {
    log_format: { text_format_source: { inline_string: '@%REQ(X-CASE)% %RESPONSE_CODE_DETAILS%\n' } },
  }),
};

const anyMeshPeer = (files: CertificateFiles): JsonObject => ({
  name: 'envoy.transport_sockets.tls',
  typed_config: typed('extensions.transport_sockets.tls.v3.DownstreamTlsContext', {
    require_client_certificate: true,
    common_tls_context: {
      tls_certificates: [
        { certificate_chain: { filename: files.certificateFile }, private_key: { filename: files.keyFile } },
      ],
      validation_context: { trusted_ca: { filename: files.trustFile } },
    },
  }),
});

/** Ports of one set of policies. */
interface Place {
  readonly mtls: number;
  readonly plain: number;
  readonly opaque: number;
  readonly opaquePlain: number;
}

const nowhere: Place = { mtls: 0, plain: 0, opaque: 0, opaquePlain: 0 };

/** One connection of a caller, for one request at a time. */
class Caller {
  private readonly open: () => Socket;
  private socket: Socket | undefined = undefined;
  private read = '';
  private wake: (() => void) | undefined = undefined;

  constructor(open: () => Socket) {
    this.open = open;
  }

  private connected(): Socket {
    if (this.socket !== undefined && !this.socket.destroyed && this.socket.writable) return this.socket;
    const socket = this.open();
    this.read = '';
    const wake = (): void => {
      if (this.socket === socket) this.wake?.();
    };
    socket.setEncoding('latin1');
    socket.on('data', (text: string) => {
      this.read += text;
      wake();
    });
    socket.on('error', () => undefined);
    socket.on('close', wake);
    this.socket = socket;
    return socket;
  }

  /** The status; 0: none. */
  async ask(text: string): Promise<number> {
    const socket = this.connected();
    this.read = '';
    socket.write(text, 'latin1');
    const timer = setTimeout(() => socket.destroy(), ANSWER_MS_MAX);
    try {
      while (!this.complete() && !socket.destroyed) {
        await new Promise<void>((resolve) => {
          this.wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
    if (/\r\nconnection: close\r\n/i.test(this.read)) this.close();
    return Number(/^HTTP\/1\.1 (\d{3}) /.exec(this.read)?.[1] ?? 0);
  }

  private complete(): boolean {
    const end = this.read.indexOf('\r\n\r\n');
    const length = Number(/\r\ncontent-length: (\d+)\r\n/i.exec(this.read)?.[1] ?? 0);
    return end !== -1 && this.read.length >= end + 4 + length;
  }

  close(): void {
    this.socket?.destroy();
    this.socket = undefined;
  }
}

export class AuthorizationRig {
  private readonly programs = new Map<Side, Program>();
  private readonly callers = new Map<string, Caller>();
  private readonly places: Place[] = [];
  private readonly certificates: (CertificateFiles | undefined)[] = [];
  private cases = 0;
  private readonly echo = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });

  async start(folder: string, sets: readonly AuthorizationSet[]): Promise<void> {
    const authority = await CertificateFolder.make(folder);
    const server = await authority.issue('server', 'spiffe://cluster.local/ns/shop/sa/own');
    for (const [i, id] of identities.entries()) {
      this.certificates.push(id === undefined ? undefined : await authority.issue(`caller-${i}`, id));
    }
    for (const _ of sets) {
      const [mtls, plain] = [await freePort(), await freePort()];
      this.places.push({ mtls, plain, opaque: await freePort(), opaquePlain: await freePort() });
    }
    await new Promise<void>((resolve) => this.echo.listen(0, '127.0.0.1', resolve));
    const echo = { ip: '127.0.0.1', port: (this.echo.address() as AddressInfo).port };
    const managers = sets.map(managerOf);
    const network = sets.map(networkFiltersOf);
    const textOf = (side: Side, adminPort: number): string =>
      bootstrap({
        id: 'authorization',
        adminPort,
        clusters: [cluster({ name: 'echo', endpoints: [echo] })],
        listeners: managers.flatMap((manager, i) => {
          const { mtls, plain, opaque, opaquePlain } = this.places[i] ?? nowhere;
          const tcp = (port: number): JsonObject =>
            opaqueListener(network[i] ?? [], IP[side], port, port === opaque ? server : undefined);
          const of = (port: number): JsonObject =>
            listenerOf(manager, IP[side], port, port === mtls ? server : undefined);
          return [of(mtls), of(plain), tcp(opaque), tcp(opaquePlain)];
        }),
      });
    this.programs.set('weft', await startSidecar(folder, textOf('weft', await freePort())));
    const adminPort = await freePort();
    const more = ['--file-flush-interval-msec', LOG_FLUSH_MS];
    this.programs.set('envoy', await startEnvoy(folder, textOf('envoy', adminPort), adminPort, more));
  }

  async stop(): Promise<void> {
    for (const caller of this.callers.values()) caller.close();
    for (const program of this.programs.values()) await program.stop();
    this.echo.close();
  }

  /** Whether opaque bytes get through. */
  async passes(side: Side, set: number, identity: number, address: number): Promise<boolean> {
    const { opaque, opaquePlain } = this.places[set] ?? nowhere;
    const socket = this.dial(side, identity, address, this.certificates[identity] === undefined ? opaquePlain : opaque);
    const timer = setTimeout(() => socket.destroy(), ANSWER_MS_MAX);
    socket.on('error', () => undefined);
    socket.write('hello');
    return new Promise((resolve) => {
      socket.once('data', () => {
        resolve(true);
        socket.destroy();
      });
      socket.once('close', () => {
        clearTimeout(timer);
        resolve(false);
      });
    });
  }

  private dial(side: Side, identity: number, address: number, port: number): Socket {
    const files = this.certificates[identity];
    const raw = connect({ host: IP[side], port, localAddress: addresses[address] ?? addresses[0] });
    if (files === undefined) return raw;
    return tlsConnect({
      socket: raw,
      cert: readFileSync(files.certificateFile),
      key: readFileSync(files.keyFile),
      rejectUnauthorized: false,
    });
  }

  /** The status, and what the access log is going to call it. */
  async ask(side: Side, set: number, asked: Asked): Promise<{ readonly status: number; readonly name: string }> {
    const name = `${side}-${this.cases++}`;
    const bearer = bearers[asked.token] ?? '';
    const lines = [
      `${asked.method} ${asked.target} HTTP/1.1`,
      `Host: ${asked.host}`,
      `X-Case: ${name}`,
      'Content-Length: 0',
      ...(bearer === '' ? [] : [`Authorization: Bearer ${bearer}`]),
      ...asked.fields.map(([field, value]) => `${field}: ${value}`),
    ];
    const status = await this.callerOf(side, set, asked).ask(`${lines.join('\r\n')}\r\n\r\n`);
    return { status, name };
  }

  /** What the logs say of the requests so far. */
  details(side: Side): ReadonlyMap<string, string> {
    const lines = (this.programs.get(side)?.stdout ?? '').split('\n').slice(0, -1);
    return new Map(
      lines
        .filter((line) => line.startsWith('@'))
        .map((line) => {
          const space = line.indexOf(' ');
          return [line.slice(1, space), line.slice(space + 1)];
        }),
    );
  }

  private callerOf(side: Side, set: number, { identity, address }: Asked): Caller {
    const key = `${side} ${set} ${identity} ${address}`;
    const known = this.callers.get(key);
    if (known !== undefined) return known;
    const { mtls, plain } = this.places[set] ?? nowhere;
    const port = this.certificates[identity] === undefined ? plain : mtls;
    const caller = new Caller(() => this.dial(side, identity, address, port));
    this.callers.set(key, caller);
    return caller;
  }
}

function listenerOf(manager: JsonObject, ip: string, port: number, files: CertificateFiles | undefined): JsonObject {
  const { '@type': _type, route_config: _route, http_filters: _filters, ...fields } = manager;
  const filters = listAt(manager, 'http_filters').filter((one) => one['name'] !== 'envoy.filters.http.router');
  return httpListener({
    name: `listener-${port}`,
    at: { ip, port },
    direction: 'INBOUND',
    routes: [{ name: 'in', match: { prefix: '/' }, direct_response: { status: 200, body: { inline_string: 'in' } } }],
    filters: withPort(filters, port),
    manager: { ...fields, access_log: [accessLog] },
    ...(files === undefined ? {} : { tls: anyMeshPeer(files) }),
  });
}

function opaqueListener(
  filters: readonly JsonObject[],
  ip: string,
  port: number,
  files: CertificateFiles | undefined,
): JsonObject {
  const proxy = typed('extensions.filters.network.tcp_proxy.v3.TcpProxy', { stat_prefix: 'echo', cluster: 'echo' });
  return {
    name: `opaque-${port}`,
    traffic_direction: 'INBOUND',
    address: { socket_address: { address: ip, port_value: port } },
    filter_chains: [
      {
        ...(files === undefined ? {} : { transport_socket: anyMeshPeer(files) }),
        filters: [...withPort(filters, port), { name: 'envoy.filters.network.tcp_proxy', typed_config: proxy }],
      },
    ],
  };
}

const withPort = (filters: readonly JsonObject[], port: number): readonly JsonObject[] =>
  JSON.parse(JSON.stringify(filters).replaceAll(`"destination_port":${OWN_PORT}`, `"destination_port":${port}`));
