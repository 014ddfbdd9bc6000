/**
 * Whose fault a refusal is. All routes of a Service port are one resource, which a sidecar takes as a whole or not at all;
 * but it says which of them it cannot take, and routes go by the names of the objects that they come from.
 */
import { unreachable } from '@weft/policies/kit/result';
import type { TranslateContext } from '../translate/context.ts';
import { translateResource } from '../translate/resource.ts';
import type { Subscriber } from '../xds/hub.ts';

/** The object that a status is about. */
export type Suspect =
  | { readonly kind: 'route'; readonly key: string }
  /** A policy of the client's side; `route`: it is for the requests of that route alone. */
  | { readonly kind: 'client-policy'; readonly route: string | undefined };

const place = /\bvirtual_hosts\[(\d+)\]\.routes\[(\d+)\](\.match\b)?/;

/** `<namespace>/<name>` of the routes that somebody else's refusal is for; undefined: it may be the suspect's own. */
export function blamedOthers(
  context: TranslateContext,
  { stream, subscription }: Subscriber,
  suspect: Suspect,
): readonly string[] | undefined {
  const { nack, kind, name } = subscription;
  if (nack === undefined || kind !== 'route') return undefined;
  const made = translateResource(context, 'route', name, stream.client);
  if (made?.kind !== 'route') return undefined;
  const others = new Set<string>();
  for (const part of nack.message.split('; ')) {
    const [, host, route, match] = place.exec(part) ?? [];
    const found = made.value.virtualHosts[Number(host)]?.routes[Number(route)];
    // `<namespace>/<route>/<rule>`; what is there without a route has no such name.
    const [, key] = /^([^/]+\/[^/]+)\//.exec(found?.name ?? '') ?? [];
    if (key === undefined || !isOthers(suspect, key, match !== undefined)) return undefined;
    others.add(key);
  }
  return [...others];
}

/** What requests a route matches no policy has a say in. */
function isOthers(suspect: Suspect, route: string, isMatch: boolean): boolean {
  switch (suspect.kind) {
    case 'route':
      return suspect.key !== route;
    case 'client-policy':
      return isMatch || (suspect.route !== undefined && suspect.route !== route);
    default:
      return unreachable(suspect);
  }
}
