import type { MessageInitShape } from '@bufbuild/protobuf';
import { isOfTheCodec } from '../kit/field-names.ts';
import type { HeaderMutation, HeaderValue } from '../model/route.ts';
import type { At } from './decoding.ts';
import {
  HeaderValueOption_HeaderAppendAction as Append,
  type HeaderValueOption,
  type HeaderValueOptionSchema,
} from './gen/envoy/config/core/v3/base_pb.ts';

type OptionInit = MessageInitShape<typeof HeaderValueOptionSchema>;

/** The four fields that routes and weighted clusters have alike. */
interface MutationFields {
  readonly requestHeadersToAdd: HeaderValueOption[];
  readonly requestHeadersToRemove: string[];
  readonly responseHeadersToAdd: HeaderValueOption[];
  readonly responseHeadersToRemove: string[];
}

/** In Envoy `%` begins a command operator, and `%%` is a percent sign. */
const option = (appendAction: Append, { name, value }: HeaderValue): OptionInit => ({
  header: { key: name, value: value.replaceAll('%', '%%') },
  appendAction,
  keepEmptyValue: value === '',
});

export const encodeMutation = ({ set, add }: HeaderMutation): OptionInit[] => [
  ...set.map((header) => option(Append.OVERWRITE_IF_EXISTS_OR_ADD, header)),
  ...add.map((header) => option(Append.APPEND_IF_EXISTS_OR_ADD, header)),
];

export const encodeHeaderMutations = (request: HeaderMutation, response: HeaderMutation) => ({
  requestHeadersToAdd: encodeMutation(request),
  requestHeadersToRemove: [...request.remove],
  responseHeadersToAdd: encodeMutation(response),
  responseHeadersToRemove: [...response.remove],
});

export function decodeHeaderMutations(
  fields: MutationFields,
  at: At,
): { readonly requestHeaders: HeaderMutation; readonly responseHeaders: HeaderMutation } {
  return {
    requestHeaders: decodeMutation(
      fields.requestHeadersToAdd,
      fields.requestHeadersToRemove,
      at.field('request_headers_to_add'),
    ),
    responseHeaders: decodeMutation(
      fields.responseHeadersToAdd,
      fields.responseHeadersToRemove,
      at.field('response_headers_to_add'),
    ),
  };
}

export function decodeMutation(
  options: readonly HeaderValueOption[],
  remove: readonly string[],
  at: At,
): HeaderMutation {
  const set: HeaderValue[] = [];
  const add: HeaderValue[] = [];
  for (const [i, { header, appendAction, keepEmptyValue }] of options.entries()) {
    const here = at.index(i);
    if (header === undefined || header.key === '') {
      here.field('header').fail('name is required', undefined);
      continue;
    }
    const name = decodeFieldName(header.key, here.field('header').field('key'));
    const value = decodeFieldValue(
      decodeFormat(header.value, here.field('header').field('value')),
      here.field('header').field('value'),
    );
    if (header.value === '' && !keepEmptyValue) {
      here.field('header').field('value').fail('an empty value needs keep_empty_value', undefined);
    }
    if (appendAction === Append.APPEND_IF_EXISTS_OR_ADD) {
      add.push({ name, value });
    } else if (appendAction === Append.OVERWRITE_IF_EXISTS_OR_ADD) {
      // Weft sets before it adds; only this order would come out differently.
      if (add.some((earlier) => earlier.name.toLowerCase() === name.toLowerCase())) {
        here.fail(`"${name}" is appended before it is overwritten`, undefined);
      }
      set.push({ name, value });
    } else {
      here.field('append_action').fail(`action ${appendAction} is not supported by Weft`, undefined);
    }
  }
  return { set, add, remove: remove.map((name) => name.toLowerCase()) };
}

const FIELD_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** RFC 9110 section 5.5. Written as octets: a character beyond them would be cut to one, which may be a line end. */
const FIELD_VALUE = /^[\t\x20-\x7e\x80-\xff]*$/;

/** Codecs trust what configuration lets them write: here is where a line end in it would become another field. */
export function decodeFieldName(name: string, at: At): string {
  if (!FIELD_NAME.test(name)) return at.fail('is not the name of a header', name);
  if (isOfTheCodec(name)) return at.fail(`"${name}" is set by the proxy itself`, name);
  return name;
}

export function decodeFieldValue(value: string, at: At): string {
  if (FIELD_VALUE.test(value)) return value;
  return at.fail('has a character that may not be in the value of a header (RFC 9110 section 5.5)', value);
}

export function decodeFormat(text: string, at: At): string {
  if (/%/.test(text.replaceAll('%%', ''))) {
    return at.fail('command operators (%...%) are not supported by Weft; write %% for a percent sign', '');
  }
  return text.replaceAll('%%', '%');
}
