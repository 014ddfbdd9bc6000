import type { MessageInitShape } from '@bufbuild/protobuf';
import { isOfTheCodec } from '../kit/field-names.ts';
import { type HeaderSide, literalOf, parseHeaderFormat } from '../model/header-format.ts';
import {
  type HeaderMutation,
  type HeaderOption,
  type HeaderValue,
  noMutation,
  type VirtualHost,
} from '../model/route.ts';
import type { At } from './decoding.ts';
import {
  HeaderValueOption_HeaderAppendAction as Append,
  type HeaderValueOption,
  type HeaderValueOptionSchema,
} from './gen/envoy/config/core/v3/base_pb.ts';

type OptionInit = MessageInitShape<typeof HeaderValueOptionSchema>;

/** The four fields that routes, weighted clusters and what is above them have alike. */
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

const appendActions: Readonly<Record<HeaderOption['action'], Append>> = {
  add: Append.APPEND_IF_EXISTS_OR_ADD,
  addIfAbsent: Append.ADD_IF_ABSENT,
  set: Append.OVERWRITE_IF_EXISTS_OR_ADD,
  setIfPresent: Append.OVERWRITE_IF_EXISTS,
};

export const encodeMutation = ({ set, add, options = [] }: HeaderMutation): OptionInit[] => [
  ...set.map((header) => option(Append.OVERWRITE_IF_EXISTS_OR_ADD, header)),
  ...add.map((header) => option(Append.APPEND_IF_EXISTS_OR_ADD, header)),
  ...options.map(({ name, format, action, keepsEmpty }) => ({
    header: { key: name, value: format },
    appendAction: appendActions[action],
    keepEmptyValue: keepsEmpty,
  })),
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
      'request',
      at.field('request_headers_to_add'),
    ),
    responseHeaders: decodeMutation(
      fields.responseHeadersToAdd,
      fields.responseHeadersToRemove,
      'response',
      at.field('response_headers_to_add'),
    ),
  };
}

const isEmpty = ({ set, add, remove, options }: HeaderMutation): boolean =>
  set.length + add.length + remove.length === 0 && options === undefined;

/** Of a virtual host or a route configuration. */
export function decodeSharedMutations(
  fields: MutationFields,
  at: At,
): Pick<VirtualHost, 'requestHeaders' | 'responseHeaders'> {
  const { requestHeaders, responseHeaders } = decodeHeaderMutations(fields, at);
  return {
    ...(isEmpty(requestHeaders) ? {} : { requestHeaders }),
    ...(isEmpty(responseHeaders) ? {} : { responseHeaders }),
  };
}

const actions = new Map<Append, HeaderOption['action']>([
  [Append.APPEND_IF_EXISTS_OR_ADD, 'add'],
  [Append.ADD_IF_ABSENT, 'addIfAbsent'],
  [Append.OVERWRITE_IF_EXISTS_OR_ADD, 'set'],
  [Append.OVERWRITE_IF_EXISTS, 'setIfPresent'],
]);

export function decodeMutation(
  options: readonly HeaderValueOption[],
  remove: readonly string[],
  side: HeaderSide,
  at: At,
): HeaderMutation {
  const all = options.flatMap((one, i) => decodeOption(one, side, at.index(i)) ?? []);
  return mutationOf(
    all,
    remove.map((name) => name.toLowerCase()),
  );
}

/** One change of a filter that makes one after the other. */
export function decodeStep(option: HeaderValueOption, side: HeaderSide, at: At): HeaderMutation {
  const step = decodeOption(option, side, at);
  return mutationOf(step === undefined ? [] : [step], []);
}

interface DecodedOption {
  readonly option: HeaderOption;
  /** Undefined: it depends on the message. */
  readonly value: string | undefined;
}

function mutationOf(all: readonly DecodedOption[], removed: readonly string[]): HeaderMutation {
  if (all.length === 0 && removed.length === 0) return noMutation;
  if (all.some(({ value }) => value === undefined)) {
    return { set: [], add: [], remove: removed, options: all.map(({ option }) => option) };
  }
  const values = (wanted: HeaderOption['action']): readonly HeaderValue[] =>
    all.flatMap(({ option: { name, action }, value = '' }) => (action === wanted ? [{ name, value }] : []));
  // As in Envoy, whatever is overwritten is so before anything is appended.
  return { set: values('set'), add: values('add'), remove: removed };
}

function decodeOption(message: HeaderValueOption, side: HeaderSide, at: At): DecodedOption | undefined {
  const { header, keepEmptyValue } = message;
  const here = at.field('header');
  if (header === undefined || header.key === '') return here.fail('name is required', undefined);
  if (header.value === '' && !keepEmptyValue) {
    here.field('value').fail('an empty value needs keep_empty_value', undefined);
  }
  const parsed = parseHeaderFormat(header.value, side);
  if (!parsed.ok) here.field('value').fail(`${parsed.error}; write %% for a percent sign`, undefined);
  else {
    for (const part of parsed.value) if (typeof part === 'string') decodeFieldValue(part, here.field('value'));
  }
  const name = decodeFieldName(header.key, here.field('key'));
  const action = decodeAction(message, at);
  const asksHeaders = action === 'addIfAbsent' || action === 'setIfPresent';
  return {
    option: { name, format: header.value, action, keepsEmpty: keepEmptyValue },
    value: asksHeaders ? undefined : parsed.ok ? literalOf(parsed.value) : '',
  };
}

/** `append` is what Envoy had before `append_action`. */
function decodeAction({ append, appendAction }: HeaderValueOption, at: At): HeaderOption['action'] {
  if (append === undefined) {
    return actions.get(appendAction) ?? at.field('append_action').fail('unknown action', 'add');
  }
  if (appendAction !== Append.APPEND_IF_EXISTS_OR_ADD) {
    at.field('append').fail('append_action is set as well', undefined);
  }
  return append ? 'add' : 'set';
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
