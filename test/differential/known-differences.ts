import type { Difference } from './compare.ts';
import type { ClientRequest } from './envoy-pair.ts';

/** Where Weft and Envoy differ on purpose, and the text that lets Weft do so. */
export interface KnownDifference {
  readonly why: string;
  readonly reference: string;
  /** Whether it explains that difference; nothing else of the request is compared then. */
  explains(difference: Difference, request: ClientRequest): boolean;
}

/** The methods that RFC 9110 section 9.3 and RFC 5789, 4918 register and Envoy's parser knows. */
const ENVOY_METHODS = new Set([
  'GET',
  'HEAD',
  'POST',
  'PUT',
  'DELETE',
  'OPTIONS',
  'PATCH',
  'TRACE',
  'CONNECT',
  'PROPFIND',
]);

/** As it would be with upper-case escapes and without the doubled or missing slash that a rewrite leaves. */
const plainTarget = (text: string): string =>
  text
    .replaceAll(/%[0-9a-f]{2}/gi, (octet) => octet.toUpperCase())
    .split('?')
    .map((part, i) => (i === 0 ? part.replaceAll('/', '') : part))
    .join('?');

export const knownDifferences: readonly KnownDifference[] = [
  {
    why: 'Envoy refuses methods that it does not know with 400; Weft forwards every token',
    reference: 'RFC 9110 section 9.1: methods are extensible',
    explains: (_difference, { method }) => !ENVOY_METHODS.has(method),
  },
  {
    why: 'Weft writes the hexadecimal digits of escapes in upper case, Envoy leaves them',
    reference: 'RFC 3986 section 6.2.2.1',
    explains: ({ what, weft, envoy }) =>
      (what === 'received target' || what === 'body' || what === 'response location') &&
      weft !== envoy &&
      weft.toUpperCase() === envoy.toUpperCase(),
  },
  {
    why: 'A prefix is replaced by whole segments, so that exactly one slash is between them; Envoy replaces the text',
    reference: 'Gateway API, HTTPPathModifier.replacePrefixMatch',
    explains: ({ what, weft, envoy }) =>
      (what === 'received target' || what === 'body' || what === 'response location') &&
      plainTarget(withoutPort(weft)) === plainTarget(withoutPort(envoy)),
  },
  {
    why: 'Without a port of its own, a redirect names the port of the listener or of the new scheme; Envoy keeps that of Host',
    reference: 'Gateway API, HTTPRequestRedirectFilter.port',
    explains: ({ what, weft, envoy }) =>
      what === 'response location' && plainTarget(withoutPort(weft)) === plainTarget(withoutPort(envoy)),
  },
];

function withoutPort(location: string): string {
  return location.replace(/^(https?:\/\/(?:\[[^\]]*\]|[^:/]*)):\d+/, '$1');
}
