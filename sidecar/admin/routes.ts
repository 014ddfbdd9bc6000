import type { ClusterRow } from '../cluster/rows.ts';
import type { ListenerStats } from '../listener/manager.ts';
import type { NamedCounters } from '../telemetry/exchange-counters.ts';
import { clustersJson, clustersText } from './pages/clusters.ts';
import type { ServedConfig } from './pages/config-dump.ts';
import { egressRows, egressText } from './pages/egress.ts';
import { listenersJson, listenersText, memory, type ServerState, serverInfo } from './pages/server.ts';
import { Baseline, selectStatistics, statistics, statsJson, statsText } from './pages/statistics.ts';

/** What the admin interface shows; each value is made when it is asked for, some of them by other threads. */
export interface AdminViews {
  readonly node: { readonly id: string; readonly cluster: string };
  readonly concurrency: number;
  readonly config: () => ServedConfig;
  /** Weft's own metrics, as text for Prometheus. */
  readonly metrics: () => Promise<string>;
  /** Of connection managers, under Envoy's names. */
  readonly counters: () => Promise<NamedCounters>;
  readonly clusters: () => Promise<readonly ClusterRow[]>;
  readonly listeners: () => Promise<readonly ListenerStats[]>;
  readonly certs: () => unknown;
  /** Why traffic cannot be served. */
  readonly notReady: () => string | undefined;
  readonly drain: () => void;
  readonly quit: () => void;
}

export interface AdminAnswer {
  readonly status: number;
  readonly type: 'text' | 'json' | 'html';
  readonly body: string;
}

interface Route {
  readonly help: string;
  /** Changes something, and wants POST. */
  readonly mutates?: true;
  readonly handle: (query: URLSearchParams) => AdminAnswer | Promise<AdminAnswer>;
}

const VERSION = '0.1.0';

const text = (body: string, status = 200): AdminAnswer => ({ status, type: 'text', body });
const json = (value: unknown): AdminAnswer => ({
  status: 200,
  type: 'json',
  body: `${JSON.stringify(value, undefined, 1)}\n`,
});
const wantsJson = (query: URLSearchParams): boolean => query.get('format') === 'json';

/** Envoy's admin interface, as far as Weft has what it shows. */
export class AdminRoutes {
  private readonly views: AdminViews;
  private readonly startedMs = performance.now();
  private readonly baseline = new Baseline();
  private failed = false;
  private readonly routes: ReadonlyMap<string, Route>;

  constructor(views: AdminViews) {
    this.views = views;
    this.routes = new Map<string, Route>([
      ['/', { help: 'this page', handle: () => this.home() }],
      ['/certs', { help: 'certificates', handle: async () => json(await views.certs()) }],
      ['/clusters', { help: 'clusters and their endpoints; format=json', handle: (query) => this.clusters(query) }],
      ['/config_dump', { help: 'configuration, without secrets; resource=<field>', handle: (q) => this.config(q) }],
      [
        '/drain_listeners',
        { help: 'ends connections with their next response, accepts none', mutates: true, handle: () => this.drain() },
      ],
      [
        '/egress',
        { help: 'what no ExternalService is for, by name; format=json', handle: (query) => this.egress(query) },
      ],
      ['/healthcheck/fail', { help: 'readiness fails', mutates: true, handle: () => this.fail(true) }],
      ['/healthcheck/ok', { help: 'readiness is real again', mutates: true, handle: () => this.fail(false) }],
      ['/help', { help: 'what there is', handle: () => text(`admin commands are:\n${this.help()}`) }],
      ['/listeners', { help: 'listeners and their addresses; format=json', handle: (query) => this.listeners(query) }],
      ['/logging', { help: 'levels of loggers', mutates: true, handle: (query) => this.logging(query) }],
      ['/memory', { help: 'memory of the process', handle: () => json(memory(process.memoryUsage())) }],
      ['/quitquitquit', { help: 'ends the proxy', mutates: true, handle: () => this.quit() }],
      ['/ready', { help: 'LIVE, or why not', handle: () => this.ready() }],
      ['/reset_counters', { help: 'counters of /stats start from 0', mutates: true, handle: () => this.reset() }],
      ['/runtime', { help: 'values of the runtime: none', handle: () => json({ layers: [], entries: {} }) }],
      ['/server_info', { help: 'version, state and time since start', handle: () => this.serverInfo() }],
      [
        '/stats',
        { help: 'statistics; format=json|prometheus, filter=<regex>, usedonly', handle: (q) => this.stats(q) },
      ],
      ['/stats/prometheus', { help: 'metrics for Prometheus', handle: () => this.prometheus() }],
    ]);
  }

  async answer(method: string, target: string): Promise<AdminAnswer> {
    const [path = '/', query = ''] = target.split('?', 2);
    const route = this.routes.get(path);
    if (route === undefined) return text(`invalid path. admin commands are:\n${this.help()}`, 404);
    if (route.mutates && method !== 'POST') return text(`Method ${method} not allowed, POST required.`, 405);
    if (!route.mutates && method !== 'GET' && method !== 'HEAD') {
      return text(`Method ${method} not allowed, GET required.`, 405);
    }
    return route.handle(new URLSearchParams(query));
  }

  private help(): string {
    return [...this.routes]
      .map(([path, { help, mutates }]) => `  ${path}${mutates ? ' (POST)' : ''}: ${help}\n`)
      .join('');
  }

  private home(): AdminAnswer {
    const rows = [...this.routes].map(
      ([path, { help, mutates }]) =>
        `<li>${mutates ? `<form method="post" action="${path}"><button>${path}</button></form>` : `<a href="${path}">${path}</a>`} ${help}</li>`,
    );
    const body = `<!DOCTYPE html><html lang="en"><title>Weft</title><h1>Weft admin</h1><ul>${rows.join('')}</ul></html>\n`;
    return { status: 200, type: 'html', body };
  }

  private get state(): ServerState {
    if (this.failed) return 'DRAINING';
    const reason = this.views.notReady();
    if (reason === undefined) return 'LIVE';
    return reason === 'draining' ? 'DRAINING' : 'PRE_INITIALIZING';
  }

  private ready(): AdminAnswer {
    const { state } = this;
    if (state === 'LIVE') return text('LIVE\n');
    const reason = this.views.notReady();
    return text(reason === undefined || reason === 'draining' ? `${state}\n` : `${state}\n${reason}\n`, 503);
  }

  private serverInfo(): AdminAnswer {
    const { node, concurrency } = this.views;
    const uptimeMs = performance.now() - this.startedMs;
    return json(serverInfo({ version: `weft/${VERSION}`, state: this.state, uptimeMs, node, concurrency }));
  }

  private async clusters(query: URLSearchParams): Promise<AdminAnswer> {
    const rows = await this.views.clusters();
    return wantsJson(query) ? json(clustersJson(rows)) : text(clustersText(rows));
  }

  private async egress(query: URLSearchParams): Promise<AdminAnswer> {
    const rows = egressRows(await this.views.metrics());
    return wantsJson(query) ? json(rows) : text(egressText(rows));
  }

  private async listeners(query: URLSearchParams): Promise<AdminAnswer> {
    const rows = await this.views.listeners();
    return wantsJson(query) ? json(listenersJson(rows)) : text(listenersText(rows));
  }

  private async config(query: URLSearchParams): Promise<AdminAnswer> {
    // Encoding and names of fields are for this page alone.
    const { configDump } = await import('./pages/config-dump.ts');
    return json(configDump(this.views.config(), query.get('resource') ?? ''));
  }

  private async values(): Promise<Map<string, number>> {
    const { counters, clusters, listeners } = this.views;
    return statistics(await counters(), await clusters(), await listeners());
  }

  private async stats(query: URLSearchParams): Promise<AdminAnswer> {
    const format = query.get('format') ?? 'text';
    if (format === 'prometheus') return this.prometheus();
    if (format !== 'text' && format !== 'json') {
      return text('usage: /stats?format=(text|json|prometheus)\n', 400);
    }
    const values = this.baseline.since(await this.values());
    const rows = selectStatistics(values, { usedOnly: query.has('usedonly'), filter: query.get('filter') ?? '' });
    if (rows === undefined) return text('Invalid re2 regex\n', 400);
    return format === 'json' ? { status: 200, type: 'json', body: statsJson(rows) } : text(statsText(rows));
  }

  private async prometheus(): Promise<AdminAnswer> {
    return text(await this.views.metrics());
  }

  private async reset(): Promise<AdminAnswer> {
    this.baseline.reset(await this.values());
    return text('OK\n');
  }

  private fail(failed: boolean): AdminAnswer {
    this.failed = failed;
    return text('OK\n');
  }

  private logging(query: URLSearchParams): AdminAnswer {
    if (query.size === 0) return text('active loggers:\n  weft: info\n');
    return text('Weft has one level of its own log: info\n', 400);
  }

  private drain(): AdminAnswer {
    this.views.drain();
    return text('OK\n');
  }

  private quit(): AdminAnswer {
    this.views.quit();
    return text('OK\n');
  }
}
