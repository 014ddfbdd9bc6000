import type { V1PodSpec } from '@kubernetes/client-node';
import { parsePort } from '../redirect/options.ts';
import { PORT } from './names.ts';

/**
 * The `prometheus.io/*` annotations, a convention of scrape configurations: Prometheus has no mesh identity, so it is sent to the sidecar,
 * which answers with its own metrics and the application's.
 */

const KEY = {
  scrape: 'prometheus.io/scrape',
  port: 'prometheus.io/port',
  path: 'prometheus.io/path',
  scheme: 'prometheus.io/scheme',
} as const;

/** For `WEFT_SCRAPE`. */
export interface ScrapeTarget {
  readonly port: number;
  readonly path: string;
  readonly scheme: 'http' | 'https';
}

interface RewrittenScrape {
  readonly target: ScrapeTarget | undefined;
  readonly annotations: Readonly<Record<string, string>>;
  readonly warnings: readonly string[];
}

const NOTHING: RewrittenScrape = { target: undefined, annotations: {}, warnings: [] };

const declaredPort = (spec: V1PodSpec): number | undefined =>
  spec.containers.flatMap((container) => container.ports ?? []).find((port) => (port.protocol ?? 'TCP') === 'TCP')
    ?.containerPort;

export function rewriteScrape(annotations: Readonly<Record<string, string>>, spec: V1PodSpec): RewrittenScrape {
  if (annotations[KEY.scrape] !== 'true') return NOTHING;
  const written = annotations[KEY.port];
  const port = written === undefined ? declaredPort(spec) : parsePort(written);
  if (port === undefined) {
    const problem =
      written === undefined
        ? 'is set but the pod declares no port'
        : `cannot be used: ${KEY.port} "${written}" is no port`;
    return { ...NOTHING, warnings: [`${KEY.scrape} ${problem}; left as it is`] };
  }
  const scheme = annotations[KEY.scheme] === 'https' ? 'https' : 'http';
  return {
    target: { port, path: annotations[KEY.path] ?? '/metrics', scheme },
    annotations: {
      [KEY.port]: String(PORT.health),
      [KEY.path]: '/metrics',
      ...(annotations[KEY.scheme] === undefined ? {} : { [KEY.scheme]: 'http' }),
    },
    warnings: [],
  };
}
