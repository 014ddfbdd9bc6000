/** Names on the wire (docs/architecture.md). */

export interface ServicePortRef {
  readonly namespace: string;
  readonly service: string;
  readonly port: number;
}

export const INBOUND = 'inbound';
export const OUTBOUND = 'outbound';
export const PASSTHROUGH = 'passthrough';

export const outboundName = (ref: ServicePortRef): string => `outbound/${ref.namespace}/${ref.service}/${ref.port}`;

export function parseOutboundName(name: string): ServicePortRef | undefined {
  const [, namespace, service, port] = /^outbound\/([^/]+)\/([^/]+)\/([1-9][0-9]{0,4})$/.exec(name) ?? [];
  if (namespace === undefined || service === undefined || port === undefined) return undefined;
  return { namespace, service, port: Number(port) };
}
