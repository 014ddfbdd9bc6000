/** What a known difference is, and what several of them look at. */
import type { Case, Outcome, Table, Wires } from './case.ts';
import type { Difference } from './compare.ts';
import type { Side } from './origin.ts';

/** A difference with everything it may follow from. */
export interface Found {
  readonly difference: Difference;
  readonly one: Case;
  readonly wires: Wires;
  readonly table: Table;
  readonly outcome: Readonly<Record<Side, Outcome>>;
  /** Among requests that were sent behind each other: 0 is the first. */
  readonly position: number;
}

/** Where Weft and Envoy differ on purpose, and the text that lets Weft do so. */
export interface KnownDifference {
  readonly name: string;
  readonly why: string;
  readonly reference: string;
  explains(found: Found): boolean;
}

/** The methods that Envoy's HTTP/1 parser knows; RFC 9110 section 9.1 has no such list. */
export const ENVOY_METHODS = new Set([
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
export const IDEMPOTENT = new Set(['GET', 'HEAD', 'OPTIONS', 'TRACE', 'PUT', 'DELETE']);
export const END_TO_END = /^(?:authorization|cookie|x-forwarded-.*|via|date|content-.*)$/i;

export const upperEscapes = (text: string): string => text.replaceAll(/%[0-9a-f]{2}/gi, (octet) => octet.toUpperCase());
export const pathOf = (target: string): string => target.split('?')[0] ?? '';
export const withoutPort = (location: string): string =>
  location.replace(/^(https?:\/\/(?:\[[^\]]*\]|[^:/]*)):\d+/, '$1');
/** Without the doubled or missing slash that a replaced prefix leaves. */
export const withoutSlashes = (target: string): string =>
  pathOf(target).replaceAll('/', '') + target.slice(pathOf(target).length);

export const weftAnswers = ({ outcome }: Found, status: number): boolean =>
  outcome.weft.response.status === status && outcome.weft.received.length === 0;
export const isStatus = ({ difference }: Found): boolean => difference.what === 'status';
export const header = (one: Case, lower: string): string =>
  one.request.fields
    .filter(([name]) => name.toLowerCase() === lower)
    .map(([, value]) => value)
    .join(',');
export const expects = ({ one }: Found): boolean => /100-continue/i.test(header(one, 'expect'));
export const rewrites = ({ table }: Found, what: RegExp): boolean => what.test(JSON.stringify(table.virtualHosts));
