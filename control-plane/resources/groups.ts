/** Resources that change together, so that an event finds its subscribers without looking at all of them. */
import { unreachable } from '@weft/policies/kit/result';
import type { ResourceKind } from '@weft/policies/model/snapshot';
import type { Touched } from '../index/touched.ts';
import { parseEgressName, parseExternalName } from '../translate/external/names.ts';
import { parseDirectName, parseOutboundName } from '../translate/names.ts';
import type { Change } from '../xds/change.ts';

/** What every proxy is told of trust. */
export const TRUST_GROUP = 'trust';

export function groupOf(kind: ResourceKind, name: string, podKey: string): string {
  switch (kind) {
    case 'secret':
      return TRUST_GROUP;
    case 'address':
      return `address ${name}`;
    case 'listener':
      return `pod ${podKey}`;
    case 'route':
      if (parseEgressName(name) !== undefined) return `egress ${podKey.slice(0, podKey.indexOf('/'))}`;
      return serviceGroup('service', name);
    case 'cluster':
      return serviceGroup('service', name);
    case 'endpoints':
      return serviceGroup('endpoints', name);
    default:
      return unreachable(kind);
  }
}

function serviceGroup(prefix: 'service' | 'endpoints', name: string): string {
  const external = parseExternalName(name);
  if (external !== undefined) return `${prefix} ${external.namespace}/${external.name}`;
  const ref = parseOutboundName(name) ?? parseDirectName(name);
  return ref === undefined ? 'fixed' : `${prefix} ${ref.namespace}/${ref.service}`;
}

export function changeOf(touched: Touched): Change {
  const groups = new Set<string>();
  for (const ip of touched.addresses) groups.add(`address ${ip}`);
  for (const pod of touched.pods) groups.add(`pod ${pod}`);
  for (const service of touched.services) groups.add(`service ${service}`);
  for (const service of touched.endpoints) groups.add(`endpoints ${service}`);
  for (const namespace of touched.egress) groups.add(`egress ${namespace}`);
  return { everything: touched.everything, groups, names: touched.services.size + touched.egress.size > 0 };
}
