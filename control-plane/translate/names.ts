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

/** For calls of a headless Service's pods by their addresses. */
export const directName = (ref: ServicePortRef): string => `direct/${ref.namespace}/${ref.service}/${ref.port}`;

export const parseOutboundName = (name: string): ServicePortRef | undefined => parseName('outbound', name);
export const parseDirectName = (name: string): ServicePortRef | undefined => parseName('direct', name);

const forms = {
  outbound: /^outbound\/([^/]+)\/([^/]+)\/([1-9][0-9]{0,4})$/,
  direct: /^direct\/([^/]+)\/([^/]+)\/([1-9][0-9]{0,4})$/,
};

function parseName(form: keyof typeof forms, name: string): ServicePortRef | undefined {
  const [, namespace, service, port] = forms[form].exec(name) ?? [];
  if (namespace === undefined || service === undefined || port === undefined) return undefined;
  return { namespace, service, port: Number(port) };
}
