/** HTTP filters that change headers: Envoy's header_mutation, and our own that takes off what it cannot name. */
import { isMessage, type Message, type MessageInitShape } from '@bufbuild/protobuf';
import { isOfTheCodec } from '../kit/field-names.ts';
import type { HeaderSide } from '../model/header-format.ts';
import type { HttpFilter } from '../model/listener.ts';
import { type HeaderMutation, noMutation } from '../model/route.ts';
import type { At } from './decoding.ts';
import type {
  HeaderMutation as MutationMessage,
  HeaderMutationSchema as MutationMessageSchema,
} from './gen/envoy/config/common/mutation_rules/v3/mutation_rules_pb.ts';
import {
  type HeaderMutation as MutationFilter,
  HeaderMutationSchema as MutationFilterSchema,
} from './gen/envoy/extensions/filters/http/header_mutation/v3/header_mutation_pb.ts';
import type { HttpFilterSchema } from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { ReservedHeadersSchema } from './gen/weft/v1/headers_pb.ts';
import { decodeFieldName, decodeStep, encodeMutation } from './header-mutation.ts';
import { typedConfig } from './typed-config.ts';

export type RequestHeadersFilter = Extract<
  HttpFilter,
  { readonly kind: 'headerRemoval' | 'headerMutation' | 'reservedHeaders' }
>;

export function encodeRequestHeadersFilter(filter: RequestHeadersFilter): MessageInitShape<typeof HttpFilterSchema> {
  // A sidecar of an earlier version passes over what it does not know, rather than refuse the listener; so does Envoy.
  const { name } = filter;
  if (filter.kind === 'reservedHeaders') {
    const { names, prefixes } = filter.reserved;
    const configType = typedConfig(ReservedHeadersSchema, { names: [...names], prefixes: [...prefixes] });
    return { name, isOptional: true, configType };
  }
  if (filter.kind === 'headerMutation') {
    const mutations = {
      requestMutations: encodeSteps(filter.request),
      responseMutations: encodeSteps(filter.response),
    };
    return { name, configType: typedConfig(MutationFilterSchema, { mutations }) };
  }
  const requestMutations = filter.headers.map((header) => ({ action: { case: 'remove' as const, value: header } }));
  const configType = typedConfig(MutationFilterSchema, { mutations: { requestMutations } });
  return { name, isOptional: name.startsWith('weft.dev/'), configType };
}

/** Undefined: none of these filters. */
export function decodeRequestHeadersFilter(
  name: string,
  config: Message | undefined,
  at: At,
): RequestHeadersFilter | undefined {
  if (isMessage(config, MutationFilterSchema)) return decodeChanges(name, config, at);
  if (!isMessage(config, ReservedHeadersSchema)) return undefined;
  const names = config.names.map((one, i) => decodeLower(one, at.field('names').index(i)));
  const prefixes = config.prefixes.map((one, i) => decodePrefix(one, at.field('prefixes').index(i)));
  return { kind: 'reservedHeaders', name, reserved: { names, prefixes } };
}

function decodeSteps(steps: readonly MutationMessage[], side: HeaderSide, at: At): readonly HeaderMutation[] {
  return steps.map(({ action }, i) => {
    const here = at.index(i);
    if (action.case === 'append') return decodeStep(action.value, side, here.field('append'));
    if (action.case === 'remove')
      return { set: [], add: [], remove: [decodeLower(action.value, here.field('remove'))] };
    // What else there is has been named as unsupported already.
    return here.fail('remove or append is required', noMutation);
  });
}

const encodeSteps = (steps: readonly HeaderMutation[]): MessageInitShape<typeof MutationMessageSchema>[] =>
  steps.flatMap((step) => [
    ...step.remove.map((value) => ({ action: { case: 'remove' as const, value } })),
    ...encodeMutation(step).map((value) => ({ action: { case: 'append' as const, value } })),
  ]);

/** What takes fields off requests alone does so before anything reads them; all else is for the route. */
function decodeChanges(name: string, { mutations }: MutationFilter, at: At): RequestHeadersFilter {
  const here = at.field('mutations');
  const request = decodeSteps(mutations?.requestMutations ?? [], 'filtered-request', here.field('request_mutations'));
  const response = decodeSteps(mutations?.responseMutations ?? [], 'response', here.field('response_mutations'));
  const removes = request.every(({ set, add, options }) => set.length + add.length === 0 && options === undefined);
  if (!removes || response.length > 0) return { kind: 'headerMutation', name, request, response };
  return { kind: 'headerRemoval', name, headers: request.flatMap(({ remove }) => remove) };
}

/**
 * Filters that look at requests before there is a route would not see what is changed when there is one. What takes off
 * what may have been added does so after it.
 */
export function inMutationOrder(filters: readonly HttpFilter[], at: At): readonly HttpFilter[] {
  const from = filters.findIndex((filter) => filter.kind === 'headerMutation' && filter.request.length > 0);
  if (from === -1) return filters;
  return filters.map((filter, i) => {
    if (i <= from || AFTER_MUTATION.has(filter.kind)) return filter;
    if (filter.kind === 'headerRemoval') {
      const request = filter.headers.map((header) => ({ ...noMutation, remove: [header] }));
      return { kind: 'headerMutation', name: filter.name, request, response: [] };
    }
    return at.fail('header_mutation that adds to requests has to stand behind all filters that look at them', filter);
  });
}

const AFTER_MUTATION: ReadonlySet<HttpFilter['kind']> = new Set([
  'headerMutation',
  'cors',
  'fault',
  'session',
  'dynamic-dns',
  'router',
]);

const decodeLower = (text: string, at: At): string => decodeFieldName(text, at).toLowerCase();

/** The beginning of a name is one too; what it says of the message itself is not taken off. */
function decodePrefix(text: string, at: At): string {
  if (!isOfTheCodec(text)) return decodeLower(text, at);
  return text.toLowerCase();
}
