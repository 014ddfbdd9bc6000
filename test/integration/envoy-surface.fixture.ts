/** One bootstrap on Weft and on a real Envoy, and plain bytes to both. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import type { Server } from 'node:http';
import { type AddressInfo, connect } from 'node:net';
import { startEnvoy } from '../support/envoy.ts';
import { type At, bootstrap, httpListener, type JsonObject, typed } from '../support/pair-bootstrap.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { startSidecar, testFolder } from '../support/pair-sidecar.ts';

export interface Subject {
  readonly program: Program;
  /** By the name of the listener. */
  readonly ports: Readonly<Record<string, number>>;
  readonly adminPort: number;
}

interface Listening {
  address(): ReturnType<Server['address']>;
  close(): unknown;
  listen(port: number, host: string, done: () => void): unknown;
}

export interface Configuration {
  /** Fields of connection managers, by the name of their listener. */
  readonly managers: Readonly<Record<string, JsonObject>>;
  /** Fields of TCP proxies, by the name of their listener. */
  readonly proxies?: Readonly<Record<string, JsonObject>>;
  /** Of listeners that end TLS. */
  readonly tls?: Readonly<Record<string, JsonObject>>;
  readonly routes: readonly JsonObject[];
  readonly clusters: readonly JsonObject[];
  /** Further fields of virtual hosts. */
  readonly host?: JsonObject;
  /** Of route configurations. */
  readonly routeConfiguration?: JsonObject;
  /** HTTP filters before the router. */
  readonly filters?: readonly JsonObject[];
}

/** What one test file starts, and stops at its end. */
export class Surface {
  readonly folder: string;
  readonly programs: Program[] = [];
  private readonly servers: Listening[] = [];

  constructor(what: string) {
    this.folder = testFolder(what);
  }

  async listen(server: Listening): Promise<At> {
    this.servers.push(server);
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    return { ip: '127.0.0.1', port: (server.address() as AddressInfo).port };
  }

  /** Weft's and Envoy's. */
  async startBoth(configuration: Configuration): Promise<readonly [Subject, Subject]> {
    const [forWeft, forEnvoy] = [await made(configuration), await made(configuration)];
    const weft = { ...forWeft, program: await startSidecar(this.folder, forWeft.text) };
    this.programs.push(weft.program);
    const flush = ['--file-flush-interval-msec', '50'];
    const envoy = { ...forEnvoy, program: await startEnvoy(this.folder, forEnvoy.text, forEnvoy.adminPort, flush) };
    this.programs.push(envoy.program);
    return [weft, envoy];
  }

  async close(): Promise<void> {
    for (const program of this.programs) await program.stop();
    for (const server of this.servers) server.close();
    rmSync(this.folder, { recursive: true, force: true });
  }
}

async function made(configuration: Configuration) {
  const {
    managers,
    proxies = {},
    tls,
    routes,
    clusters,
    host = {},
    routeConfiguration = {},
    filters = [],
  } = configuration;
  const ports: Record<string, number> = {};
  const listeners: JsonObject[] = [];
  for (const [name, manager] of Object.entries(managers)) {
    const port = await freePort();
    ports[name] = port;
    const socket = tls?.[name];
    const options = {
      name,
      at: { ip: '127.0.0.1', port },
      direction: 'OUTBOUND' as const,
      routes,
      manager,
      host,
      routeConfiguration,
      filters,
    };
    listeners.push(httpListener({ ...options, ...(socket === undefined ? {} : { tls: socket }) }));
  }
  for (const [name, proxy] of Object.entries(proxies)) {
    const port = await freePort();
    ports[name] = port;
    const socket = tls?.[name];
    listeners.push({
      name,
      address: { socket_address: { address: '127.0.0.1', port_value: port } },
      filter_chains: [
        {
          filters: [
            {
              name: 'proxy',
              typed_config: typed('extensions.filters.network.tcp_proxy.v3.TcpProxy', { stat_prefix: name, ...proxy }),
            },
          ],
          ...(socket === undefined ? {} : { transport_socket: socket }),
        },
      ],
    });
  }
  const adminPort = await freePort();
  return { text: bootstrap({ id: 'surface', adminPort, listeners, clusters }), ports, adminPort };
}

/** HTTP options of a cluster. */
export const httpOptions = (fields: JsonObject): JsonObject => ({
  typed_extension_protocol_options: {
    'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
      'extensions.upstreams.http.v3.HttpProtocolOptions',
      fields,
    ),
  },
});

export const stdoutLog = (format: string): JsonObject => ({
  name: 'log',
  typed_config: typed('extensions.access_loggers.stream.v3.StdoutAccessLog', {
    log_format: { text_format_source: { inline_string: `${format}\n` } },
  }),
});

/** What comes back on one connection until it ends or `until` has come, line ends shown as `|`. */
export function exchange(port: number, bytes: string, until?: { test(answer: string): boolean }): Promise<string> {
  return new Promise((resolve, reject) => {
    const socket = connect({ port, host: '127.0.0.1' }, () => socket.write(bytes, 'latin1'));
    let text = '';
    const done = (): void => {
      socket.destroy();
      resolve(text);
    };
    socket.setTimeout(8_000, () => reject(new Error(`nothing more after ${JSON.stringify(text)}`)));
    socket.on('data', (chunk: Buffer) => {
      text += chunk.toString('latin1');
      if (until?.test(text)) done();
    });
    socket.on('end', done);
    socket.on('error', done);
  });
}

export const get = (path: string, ...fields: readonly string[]): string =>
  `GET ${path} HTTP/1.1\r\n${['Host: shop', ...fields].join('\r\n')}\r\n\r\n`;
export const CLOSE = 'Connection: close';

/** Status, and what a test looks at: the fields named, and the body. */
export function told(answer: string, ...fields: readonly string[]): string {
  const [head = '', body = ''] = answer.split('\r\n\r\n', 2);
  const found = head.split('\r\n').filter((line) => fields.includes(line.slice(0, line.indexOf(':')).toLowerCase()));
  const status = /^HTTP\/1\.[01] (\d+)/.exec(head)?.[1] ?? `[${head}]`;
  return [status, ...found.map((line) => line.toLowerCase()).sort(), body].join(' ');
}

/** The same on both, and this. */
export async function same(
  both: readonly Subject[],
  ask: (proxy: Subject) => Promise<unknown>,
  wanted?: unknown,
): Promise<void> {
  const [own, other] = await Promise.all(both.map(ask));
  assert.deepEqual(own, other, `weft ${JSON.stringify(own)}, envoy ${JSON.stringify(other)}`);
  if (wanted !== undefined) assert.deepEqual(own, wanted);
}
