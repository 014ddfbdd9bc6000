/** Changes of headers and paths that no proxy carries out. One of them would keep all routes of the Service from being taken. */
import { isOfTheCodec } from '@weft/policies/kit/field-names';
import type { RouteFilter } from './rules.ts';

type Modifier = NonNullable<RouteFilter['requestHeaderModifier']>;

const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110 section 5.5. Configuration is written as octets, so that nothing beyond them can be sent. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** RFC 3986 section 2, without a fragment: what the wire takes (`policies/wire/values.ts`). */
const URI_TEXT = /^[\x21-\x22\x24-\x7e]*$/;

/** The field at fault and what is wrong with it, relative to the rule; filters of its backends included. */
export function filterFault(rule: {
  readonly filters?: readonly RouteFilter[] | undefined;
  readonly backendRefs?: readonly { readonly filters?: readonly RouteFilter[] | undefined }[] | undefined;
}): string | undefined {
  const own = filtersFault(rule.filters, '');
  if (own !== undefined) return own;
  for (const [index, { filters }] of (rule.backendRefs ?? []).entries()) {
    const fault = filtersFault(filters, `backendRefs[${index}].`);
    if (fault !== undefined) return fault;
  }
  return undefined;
}

function filtersFault(filters: readonly RouteFilter[] | undefined, at: string): string | undefined {
  for (const [index, filter] of (filters ?? []).entries()) {
    for (const field of ['urlRewrite', 'requestRedirect'] as const) {
      const path = filter[field]?.path;
      const value = path?.replaceFullPath ?? path?.replacePrefixMatch ?? '';
      if (path !== undefined && !URI_TEXT.test(value)) {
        const which = path.type === 'ReplaceFullPath' ? 'replaceFullPath' : 'replacePrefixMatch';
        return `${at}filters[${index}].${field}.path.${which}: has a character that may not be in a URI; percent-encode it`;
      }
    }
    for (const field of ['requestHeaderModifier', 'responseHeaderModifier'] as const) {
      const fault = modifierFault(filter[field]);
      if (fault !== undefined) return `${at}filters[${index}].${field}.${fault}`;
    }
  }
  return undefined;
}

function modifierFault(modifier: Modifier | undefined): string | undefined {
  if (modifier === undefined) return undefined;
  for (const action of ['set', 'add'] as const) {
    for (const [index, { name, value }] of (modifier[action] ?? []).entries()) {
      if (isOfTheCodec(name)) return `${action}[${index}].name: ${written(name)}`;
      if (!FIELD_VALUE.test(value)) {
        return `${action}[${index}].value: has a character that may not be in a header, such as the end of a line; remove it or encode it`;
      }
    }
  }
  for (const [index, name] of (modifier.remove ?? []).entries()) {
    if (isOfTheCodec(name) || name.startsWith(':')) return `remove[${index}]: ${written(name)}`;
    // The standard's schema takes any text here.
    if (!FIELD_NAME.test(name)) return `remove[${index}]: is not the name of a header; correct or remove it`;
  }
  return undefined;
}

const written = (name: string): string =>
  `${name} is written by the proxy itself; ${name.toLowerCase() === 'host' ? 'use a URLRewrite filter' : 'remove it'}`;
