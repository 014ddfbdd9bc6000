import { isIP } from 'node:net';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { parseCidrList, parseEndpointList, parsePort, parsePortList } from './options.ts';
import { DEFAULT_REDIRECTION, type RedirectionOptions } from './plan.ts';

/** The environment of `weft-init`, written by the injector (`injector/pod/containers.ts`). */

export const INIT_ENV = {
  excludeInboundPorts: 'WEFT_EXCLUDE_INBOUND_PORTS',
  excludeOutboundPorts: 'WEFT_EXCLUDE_OUTBOUND_PORTS',
  excludeOutboundCidrs: 'WEFT_EXCLUDE_OUTBOUND_CIDRS',
  apiServers: 'WEFT_API_SERVERS',
} as const;

interface InitEnvironment {
  readonly options: RedirectionOptions;
  /** `KUBERNETES_SERVICE_HOST` where it is a name: some providers set one, and its addresses are known only in the pod. */
  readonly apiServerName: { readonly host: string; readonly port: number } | undefined;
}

type Environment = Readonly<Record<string, string | undefined>>;

function read<T>(env: Environment, name: string, parse: (text: string) => Result<T, string>): Result<T, string> {
  const parsed = parse(env[name] ?? '');
  return parsed.ok ? parsed : err(`${name}: ${parsed.error}`);
}

export function parseEnvironment(env: Environment): Result<InitEnvironment, string> {
  const inbound = read(env, INIT_ENV.excludeInboundPorts, parsePortList);
  if (!inbound.ok) return inbound;
  const outbound = read(env, INIT_ENV.excludeOutboundPorts, parsePortList);
  if (!outbound.ok) return outbound;
  const cidrs = read(env, INIT_ENV.excludeOutboundCidrs, parseCidrList);
  if (!cidrs.ok) return cidrs;
  const listed = read(env, INIT_ENV.apiServers, parseEndpointList);
  if (!listed.ok) return listed;
  const host = env['KUBERNETES_SERVICE_HOST'] ?? '';
  const port = parsePort(env['KUBERNETES_SERVICE_PORT'] ?? '443');
  if (port === undefined) return err('KUBERNETES_SERVICE_PORT: is not a port between 1 and 65535');
  const own = isIP(host) === 0 ? [] : [{ address: host, port }];
  return ok({
    options: {
      ...DEFAULT_REDIRECTION,
      excludeInboundPorts: inbound.value,
      excludeOutboundPorts: outbound.value,
      excludeOutboundCidrs: cidrs.value,
      apiServers: [...own, ...listed.value],
    },
    apiServerName: host === '' || own.length > 0 ? undefined : { host, port },
  });
}
