/** Weft and Envoy as long-lived processes on the same bootstrap, and one request sent to both at once. */
import { startEnvoy } from '../support/envoy.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { startSidecar } from '../support/pair-sidecar.ts';
import { waitFor } from '../support/wait.ts';
import type { Applications } from './applications.ts';
import type { Case, Outcome, Response, Table, Wires } from './case.ts';
import { H1Client } from './client-h1.ts';
import { H2Client } from './client-h2.ts';
import { IP, type Side } from './origin.ts';
import { bootstrapOf, listenerName, type Ports, wiresOf } from './tables.ts';

type Client = H1Client | H2Client;
export type Both<T> = Readonly<Record<Side, T>>;

/** One request and what came of it. */
export interface Ran {
  readonly id: string;
  readonly outcome: Both<Outcome>;
}

/** Envoy holds lines back for 10 s otherwise. */
const LOG_FLUSH_MS = 20;
const LOG_MS_MAX = 4_000;
const LOG_SILENCE_MS = 400;
const COPIES_MS = 15;
const COPIES_MS_MAX = 150;

let nextId = 0;

export class Rig {
  private readonly applications: Applications;
  private readonly clients = new Map<string, Client>();
  private programs: Both<Program> | undefined = undefined;
  private ports: Ports = {};
  private readonly logs: Both<Map<string, string>> = { weft: new Map(), envoy: new Map() };
  private readonly logged: Record<Side, number> = { weft: 0, envoy: 0 };

  private readonly bootstrap: typeof bootstrapOf;

  constructor(applications: Applications, bootstrap = bootstrapOf) {
    this.applications = applications;
    this.bootstrap = bootstrap;
  }

  async start(folder: string, tables: readonly Table[]): Promise<void> {
    const ports: Record<string, number> = { ...this.applications.ports };
    for (const [i, table] of tables.entries()) {
      for (const wires of wiresOf(table)) ports[listenerName(i, wires)] = await freePort();
    }
    this.ports = ports;
    const weft = await startSidecar(folder, this.bootstrap(tables, IP.weft, ports, await freePort()));
    try {
      const adminPort = await freePort();
      const text = this.bootstrap(tables, IP.envoy, ports, adminPort);
      const more = ['--file-flush-interval-msec', String(LOG_FLUSH_MS)];
      this.programs = { weft, envoy: await startEnvoy(folder, text, adminPort, more) };
    } catch (error) {
      await weft.stop();
      throw error;
    }
  }

  async stop(): Promise<void> {
    for (const client of this.clients.values()) client.close();
    this.clients.clear();
    await this.programs?.weft.stop();
    await this.programs?.envoy.stop();
  }

  /** Connections that ended without a word, for the report. */
  stale(side: Side): number {
    let count = 0;
    for (const [key, client] of this.clients) if (key.startsWith(side)) count += client.stale;
    return count;
  }

  /** What comes next through that listener begins on connections of its own. */
  refresh(table: number, wires: Wires): void {
    for (const side of ['weft', 'envoy'] as const) this.clients.get(clientKey(side, table, wires))?.close();
  }

  private client(side: Side, table: number, wires: Wires): Client {
    const key = clientKey(side, table, wires);
    const known = this.clients.get(key);
    if (known !== undefined) return known;
    const port = this.ports[listenerName(table, wires)] ?? 0;
    const fresh = wires.down === 'h1' ? new H1Client(IP[side], port) : new H2Client(IP[side], port);
    this.clients.set(key, fresh);
    return fresh;
  }

  /** The cases at once on one connection of each proxy; what each made of each. */
  async run(
    table: number,
    wires: Wires,
    cases: readonly Case[],
    options: { readonly logs: boolean; readonly copies?: boolean },
  ): Promise<readonly Ran[]> {
    const { script } = this.applications;
    const ids = cases.map(() => String(nextId++));
    for (const [i, one] of cases.entries()) script.expect(ids[i] ?? '', one.answer);
    const requests = cases.map(({ request }) => request);
    const [weft, envoy] = await Promise.all([
      this.client('weft', table, wires).exchange(requests, ids),
      this.client('envoy', table, wires).exchange(requests, ids),
    ]);
    if (options.copies === true) await this.awaitCopies(ids);
    if (options.logs) await this.awaitLogs(ids);
    return ids.map((id, i) => {
      const of = (side: Side, response: Response | undefined): Outcome => ({
        response: response ?? missing(),
        received: [...script.received(id, side)],
        copies: [...script.copies(id, side)],
        log: options.logs ? this.logs[side].get(id) : undefined,
      });
      const outcome = { weft: of('weft', weft[i]), envoy: of('envoy', envoy[i]) };
      script.forget(id);
      return { id, outcome };
    });
  }

  /** Copies come beside the answer: there are as many of both for a moment, or waiting ends. */
  private async awaitCopies(ids: readonly string[]): Promise<void> {
    const { script } = this.applications;
    const startMs = performance.now();
    const settled = (id: string): boolean => {
      const [weft, envoy] = [script.copies(id, 'weft'), script.copies(id, 'envoy')];
      return weft.length === envoy.length && [...weft, ...envoy].every(({ complete }) => complete);
    };
    const all = (): true | undefined =>
      performance.now() - startMs > COPIES_MS && ids.every(settled) ? true : undefined;
    await waitFor('copies', all, COPIES_MS_MAX, 5).catch(() => undefined);
  }

  /** The lines of both logs, as far as they have been written. */
  readLogs(): Both<ReadonlyMap<string, string>> {
    for (const side of ['weft', 'envoy'] as const) {
      const text = this.programs?.[side].stdout ?? '';
      const end = text.lastIndexOf('\n') + 1;
      for (const line of text.slice(this.logged[side], end).split('\n')) {
        const space = line.indexOf(' ');
        if (line.startsWith('@')) this.logs[side].set(line.slice(1, space), line.slice(space + 1));
      }
      this.logged[side] = end;
    }
    return this.logs;
  }

  /** A line that one of them does not write is a difference, not an error: waiting ends when nothing more comes. */
  async awaitLogs(ids: readonly string[]): Promise<void> {
    let lines = 0;
    let lastMs = performance.now();
    const all = (): true | undefined => {
      const logs = this.readLogs();
      const now = logs.weft.size + logs.envoy.size;
      if (now > lines) lastMs = performance.now();
      lines = now;
      if (performance.now() - lastMs > LOG_SILENCE_MS) return true;
      return ids.every((id) => logs.weft.has(id) && logs.envoy.has(id)) ? true : undefined;
    };
    await waitFor('the access logs', all, LOG_MS_MAX, 5).catch(() => undefined);
  }
}

const clientKey = (side: Side, table: number, { down, up }: Wires): string => `${side} ${table} ${down} ${up}`;

const missing = (): Response => ({
  status: 0,
  interim: [],
  fields: [],
  body: '',
  trailers: [],
  complete: false,
  after: 'timeout',
});
