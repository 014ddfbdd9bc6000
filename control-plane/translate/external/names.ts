/** Names on the wire of what is outside of the mesh (docs/architecture.md). */

export interface ExternalRef {
  readonly namespace: string;
  readonly name: string;
  readonly port: number;
  /** One of its hosts, as the object has it; undefined: whichever is first, as a backend of a route. */
  readonly host: string | undefined;
}

/** Label of what no ExternalService is for. */
export const UNKNOWN = { namespace: 'external', name: 'unknown' } as const;

export const externalName = ({ namespace, name, port, host }: ExternalRef): string =>
  `external/${namespace}/${name}/${port}${host === undefined ? '' : `/${host}`}`;

export function parseExternalName(text: string): ExternalRef | undefined {
  const [, namespace, name, port, host] =
    /^external\/([^/]+)\/([^/]+)\/([1-9][0-9]{0,4})(?:\/([^/]+))?$/.exec(text) ?? [];
  if (namespace === undefined || name === undefined || port === undefined) return undefined;
  return { namespace, name, port: Number(port), host };
}

/** Routes by Host for all hosts that a namespace may call on a port. */
export const egressName = (port: number): string => `egress/${port}`;

export function parseEgressName(text: string): number | undefined {
  const port = /^egress\/([1-9][0-9]{0,4})$/.exec(text)?.[1];
  return port === undefined ? undefined : Number(port);
}
