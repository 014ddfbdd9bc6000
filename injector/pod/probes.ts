import type { V1Container, V1Probe } from '@kubernetes/client-node';
import { PORT, PROXY_CONTAINER } from './names.ts';
import { type PatchOperation, pointer } from './patch.ts';

/**
 * Probes come from the kubelet, which has no mesh identity, and would measure the sidecar where they dial the application's port. They are sent to the
 * sidecar's health port, which runs the original against the application. `exec` probes need nothing.
 */

const PROBES = [
  { field: 'livenessProbe', path: 'livez' },
  { field: 'readinessProbe', path: 'readyz' },
  { field: 'startupProbe', path: 'startupz' },
] as const;

/** Below it the sidecar answers for the application; a probe that points there was rewritten before. */
const PROBE_PATH = '/app-health/';

/** What the sidecar runs in the kubelet's place; ports are numbers by now. */
interface OriginalProbe {
  readonly timeoutSeconds: number;
  readonly httpGet?: {
    readonly path: string;
    readonly port: number;
    readonly scheme: string;
    readonly host?: string;
    readonly httpHeaders?: readonly { readonly name: string; readonly value: string }[];
  };
  readonly tcpSocket?: { readonly port: number; readonly host?: string };
  readonly grpc?: { readonly port: number; readonly service?: string };
}

/** By `<container>/<livez|readyz|startupz>`: the rest of the path below `/app-health/`. */
export type OriginalProbes = Readonly<Record<string, OriginalProbe>>;

export interface RewrittenProbes {
  readonly patch: readonly PatchOperation[];
  /** For `WEFT_PROBES`. */
  readonly originals: OriginalProbes;
  /** As they stood in the pod, for the annotation. */
  readonly asWritten: Readonly<Record<string, V1Probe>>;
  readonly warnings: readonly string[];
}

/** A port by number or by the name of a container port; the kubelet reads a number in text as a number too. */
function resolvePort(container: V1Container, port: unknown): number | undefined {
  if (typeof port === 'number') return port;
  if (typeof port !== 'string') return undefined;
  if (/^[0-9]{1,5}$/.test(port)) return Number(port);
  return container.ports?.find((each) => each.name === port)?.containerPort;
}

function original(container: V1Container, probe: V1Probe): OriginalProbe | 'not needed' | 'unknown port' {
  const timeoutSeconds = probe.timeoutSeconds ?? 1;
  const { httpGet, tcpSocket, grpc } = probe;
  if (httpGet !== undefined) {
    if (httpGet.port === PORT.health && httpGet.path?.startsWith(PROBE_PATH) === true) return 'not needed';
    const port = resolvePort(container, httpGet.port);
    if (port === undefined) return 'unknown port';
    return {
      timeoutSeconds,
      httpGet: {
        path: httpGet.path ?? '/',
        port,
        scheme: httpGet.scheme ?? 'HTTP',
        ...(httpGet.host === undefined || httpGet.host === '' ? {} : { host: httpGet.host }),
        ...(httpGet.httpHeaders === undefined
          ? {}
          : { httpHeaders: httpGet.httpHeaders.map(({ name, value }) => ({ name, value })) }),
      },
    };
  }
  if (tcpSocket !== undefined) {
    const port = resolvePort(container, tcpSocket.port);
    if (port === undefined) return 'unknown port';
    const host = tcpSocket.host === undefined || tcpSocket.host === '' ? {} : { host: tcpSocket.host };
    return { timeoutSeconds, tcpSocket: { port, ...host } };
  }
  if (grpc !== undefined) {
    const service = grpc.service === undefined || grpc.service === '' ? {} : { service: grpc.service };
    return { timeoutSeconds, grpc: { port: grpc.port, ...service } };
  }
  return 'not needed';
}

function withoutHandler(probe: V1Probe): Record<string, unknown> {
  const handlers: readonly string[] = ['httpGet', 'tcpSocket', 'grpc', 'exec'];
  return Object.fromEntries(Object.entries(probe).filter(([name]) => !handlers.includes(name)));
}

/** Rewrites the probes of the containers at `/spec/<list>`. */
export function rewriteProbes(
  list: 'containers' | 'initContainers',
  containers: readonly V1Container[],
): RewrittenProbes {
  const patch: PatchOperation[] = [];
  const originals: Record<string, OriginalProbe> = {};
  const asWritten: Record<string, V1Probe> = {};
  const warnings: string[] = [];
  containers.forEach((container, index) => {
    // Only init containers that stay (native sidecars) may have probes.
    if (list === 'initContainers' && (container.restartPolicy !== 'Always' || container.name === PROXY_CONTAINER))
      return;
    for (const { field, path } of PROBES) {
      const probe = container[field];
      if (probe === undefined || probe === null) continue;
      const found = original(container, probe);
      if (found === 'not needed') continue;
      if (found === 'unknown port') {
        warnings.push(
          `container ${container.name}: ${field} names a port that the container does not declare; left as it is`,
        );
        continue;
      }
      const key = `${container.name}/${path}`;
      originals[key] = found;
      asWritten[key] = probe;
      const httpGet = { path: `${PROBE_PATH}${key}`, port: PORT.health, scheme: 'HTTP' };
      patch.push({
        op: 'replace',
        path: pointer('spec', list, index, field),
        value: { ...withoutHandler(probe), httpGet },
      });
    }
  });
  return { patch, originals, asWritten, warnings };
}
