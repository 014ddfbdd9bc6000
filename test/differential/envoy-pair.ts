/** Weft and Envoy on the same bootstrap in front of the same applications, and what each made of a request. */
import { once } from 'node:events';
import { Agent, createServer, type IncomingMessage, request, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { startEnvoy } from '../support/envoy.ts';
import { bootstrap, cluster, httpListener, type JsonObject } from '../support/pair-bootstrap.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { startSidecar } from '../support/pair-sidecar.ts';

export type Field = readonly [name: string, value: string];

export interface ClientRequest {
  readonly method: string;
  readonly target: string;
  readonly fields: readonly Field[];
  readonly body: { readonly framing: 'none' | 'length' | 'chunked'; readonly chunks: readonly string[] };
}

/** What an application received. */
export interface Received {
  readonly application: string;
  readonly method: string;
  readonly target: string;
  readonly fields: readonly Field[];
  readonly body: string;
}

export interface Outcome {
  /** 0: no response, the connection was closed. */
  readonly status: number;
  readonly fields: readonly Field[];
  readonly body: string;
  readonly received: readonly Received[];
}

const pairs = (raw: readonly string[]): Field[] => {
  const fields: Field[] = [];
  for (let i = 0; i + 1 < raw.length; i += 2) fields.push([raw[i] ?? '', raw[i + 1] ?? '']);
  return fields;
};

async function read(message: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  for await (const chunk of message) chunks.push(chunk);
  return Buffer.concat(chunks).toString('latin1');
}

const REQUEST_TIMEOUT_MS = 5_000;

export class EnvoyPair {
  private readonly servers: Server[] = [];
  private readonly programs: Program[] = [];
  private readonly agent = new Agent({ keepAlive: false });
  private received: Received[] = [];
  private weftPort = 0;
  private envoyPort = 0;

  /** Answers what it was asked for by `x-answer`, with a body that names it. */
  private async application(name: string): Promise<number> {
    const server = createServer(async (incoming, response) => {
      const { method = '', url = '', rawHeaders } = incoming;
      const body = await read(incoming);
      this.received.push({ application: name, method, target: url, fields: pairs(rawHeaders), body });
      const asked = String(incoming.headers['x-answer'] ?? '200');
      response.writeHead(Number(asked), ['X-From', name, 'x-MiXed', 'Kept', 'Set-Cookie', 'a=1', 'Set-Cookie', 'b=2']);
      response.end(`${name} ${method} ${url}\n`);
    });
    server.listen(0, '127.0.0.1');
    await once(server, 'listening');
    this.servers.push(server);
    return (server.address() as AddressInfo).port;
  }

  async start(folder: string, routes: readonly JsonObject[]): Promise<void> {
    const applications = ['a', 'b', 'c'];
    const clusters: JsonObject[] = [];
    for (const name of applications) {
      clusters.push(cluster({ name, endpoints: [{ ip: '127.0.0.1', port: await this.application(name) }] }));
    }
    const make = async (): Promise<{ text: string; port: number; adminPort: number }> => {
      const [port, adminPort] = [await freePort(), await freePort()];
      const at = { ip: '127.0.0.1', port };
      const listener = httpListener({ name: 'l', at, direction: 'OUTBOUND', routes, manager: { access_log: [] } });
      return { text: bootstrap({ id: 'x', adminPort, listeners: [listener], clusters }), port, adminPort };
    };
    const [weft, envoy] = [await make(), await make()];
    this.weftPort = weft.port;
    this.envoyPort = envoy.port;
    this.programs.push(await startSidecar(folder, weft.text));
    this.programs.push(await startEnvoy(folder, envoy.text, envoy.adminPort));
  }

  async stop(): Promise<void> {
    this.agent.destroy();
    for (const program of this.programs) await program.stop();
    for (const server of this.servers) {
      server.closeAllConnections();
      server.close();
    }
  }

  /** One after the other, so that what the applications receive has one sender. */
  async ask(what: ClientRequest): Promise<{ readonly weft: Outcome; readonly envoy: Outcome }> {
    return { weft: await this.send(this.weftPort, what), envoy: await this.send(this.envoyPort, what) };
  }

  private send(port: number, what: ClientRequest): Promise<Outcome> {
    this.received = [];
    return new Promise((resolve) => {
      const finish = (status: number, fields: readonly Field[], body: string): void =>
        resolve({ status, fields, body, received: this.received });
      const { chunks, framing } = what.body;
      const length = chunks.reduce((sum, chunk) => sum + chunk.length, 0);
      const framed: readonly Field[] =
        framing === 'length'
          ? [['Content-Length', String(length)]]
          : framing === 'chunked'
            ? [['Transfer-Encoding', 'chunked']]
            : [];
      const client = request(
        {
          host: '127.0.0.1',
          port,
          method: what.method,
          path: what.target,
          agent: this.agent,
          timeout: REQUEST_TIMEOUT_MS,
          headers: [...what.fields, ...framed].flat(),
        },
        (response) => {
          const fields = pairs(response.rawHeaders);
          read(response).then(
            (body) => finish(response.statusCode ?? 0, fields, body),
            () => finish(0, fields, ''),
          );
        },
      );
      client.on('timeout', () => client.destroy());
      client.on('error', () => finish(0, [], ''));
      for (const chunk of framing === 'none' ? [] : chunks) if (chunk !== '') client.write(chunk, 'latin1');
      client.end();
    });
  }
}
