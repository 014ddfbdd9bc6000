import { isOfTheCodec } from '@weft/policies/kit/field-names';
import type { HeaderValue } from '@weft/policies/model/route';
import type { Headers } from '../../http/headers.ts';

/** What an authorizer's answer comes to. */
export type Judgement =
  | Permission
  | {
      readonly kind: 'denied';
      readonly status: number;
      readonly set: readonly HeaderValue[];
      readonly add: readonly HeaderValue[];
      readonly body: string;
    }
  /** It said nothing that can be relied on. */
  | { readonly kind: 'failed'; readonly detail: string }
  /** It answered, with something that may not be in a message. */
  | { readonly kind: 'malformed'; readonly detail: string };

export interface Permission {
  readonly kind: 'allowed';
  readonly set: readonly HeaderValue[];
  /** To fields that the request has; it gets none of them otherwise. */
  readonly append: readonly HeaderValue[];
  readonly addIfAbsent: readonly HeaderValue[];
  readonly remove: readonly string[];
  readonly querySet: readonly HeaderValue[];
  readonly queryRemove: readonly string[];
  readonly response: readonly ResponseChange[];
  /** Fields that it wanted to change and that are not its to change. */
  readonly ignored: number;
}

export interface ResponseChange extends HeaderValue {
  readonly action: 'set' | 'add' | 'addIfAbsent' | 'overwriteIfExists';
}

const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Of a message and not of what it says: whoever could change these could make one request into two, or another. */
export const isNotItsOwn = (name: string): boolean => name === '' || name.startsWith(':') || isOfTheCodec(name);

export const isField = ({ name, value }: HeaderValue): boolean => FIELD_NAME.test(name) && FIELD_VALUE.test(value);

export function changeResponse(headers: Headers, { name, value, action }: ResponseChange): void {
  const lower = name.toLowerCase();
  switch (action) {
    case 'set':
      headers.set(name, value);
      return;
    case 'add':
      headers.append(name, value);
      return;
    case 'addIfAbsent':
      if (!headers.has(lower)) headers.append(name, value);
      return;
    case 'overwriteIfExists':
      if (headers.has(lower)) headers.set(name, value);
      return;
  }
}

/** In Envoy's order: what is set, what is added where it is absent, what is appended to what is there, what is removed. */
export function changeRequest(headers: Headers, permission: Permission): void {
  for (const { name, value } of permission.set) headers.set(name, value);
  for (const { name, value } of permission.addIfAbsent) {
    if (!headers.has(name.toLowerCase())) headers.append(name, value);
  }
  for (const { name, value } of permission.append) {
    if (headers.has(name.toLowerCase())) headers.append(name, value);
  }
  for (const name of permission.remove) headers.remove(name.toLowerCase());
}

/** Names and values come as they are to be compared and written. The path keeps its bytes. */
export function changeQuery(target: string, { querySet, queryRemove }: Permission): string {
  if (querySet.length === 0 && queryRemove.length === 0) return target;
  const mark = target.indexOf('?');
  const path = mark < 0 ? target : target.slice(0, mark);
  const gone = new Set([...queryRemove, ...querySet.map(({ name }) => name)]);
  const kept = mark < 0 ? [] : target.slice(mark + 1).split('&');
  const parameters = kept.filter((one) => one !== '' && !gone.has(nameOf(one)));
  for (const { name, value } of querySet) {
    parameters.push(`${encodeURIComponent(name)}=${encodeURIComponent(value)}`);
  }
  return parameters.length === 0 ? path : `${path}?${parameters.join('&')}`;
}

function nameOf(parameter: string): string {
  const equals = parameter.indexOf('=');
  const name = equals < 0 ? parameter : parameter.slice(0, equals);
  try {
    return decodeURIComponent(name.replaceAll('+', ' '));
  } catch {
    return name;
  }
}
