import type { MessageInitShape } from '@bufbuild/protobuf';
import { compileLinearRegex } from '../kit/linear-regex.ts';
import type { HeaderMatch, QueryParameterMatch, StringMatch } from '../model/match.ts';
import type { At } from './decoding.ts';
import type {
  HeaderMatcher,
  HeaderMatcherSchema,
  QueryParameterMatcher,
  QueryParameterMatcherSchema,
} from './gen/envoy/config/route/v3/route_components_pb.ts';
import type { RegexMatcher } from './gen/envoy/type/matcher/v3/regex_pb.ts';
import type { StringMatcher, StringMatcherSchema } from './gen/envoy/type/matcher/v3/string_pb.ts';

const nothing: StringMatch = { kind: 'exact', value: '', ignoreCase: false };

export function encodeStringMatch(match: StringMatch): MessageInitShape<typeof StringMatcherSchema> {
  if (match.kind === 'regex') return { matchPattern: { case: 'safeRegex', value: { regex: match.value } } };
  return { matchPattern: { case: match.kind, value: match.value }, ignoreCase: match.ignoreCase };
}

export function decodeStringMatch(matcher: StringMatcher | undefined, at: At): StringMatch {
  const pattern = matcher?.matchPattern;
  switch (pattern?.case) {
    case 'exact':
    case 'prefix':
    case 'suffix':
    case 'contains':
      return { kind: pattern.case, value: pattern.value, ignoreCase: matcher?.ignoreCase ?? false };
    case 'safeRegex':
      if (matcher?.ignoreCase === true) {
        return at.field('ignore_case').fail('has no effect on a regular expression', nothing);
      }
      return { kind: 'regex', value: decodeRegex(pattern.value, at.field('safe_regex')) };
    case 'custom':
      return nothing;
    case undefined:
      return at.fail('a match pattern is required', nothing);
  }
}

/** Checked here once, so that no request ever meets a pattern that does not compile or that backtracks. */
export function decodeRegex(matcher: RegexMatcher, at: At): string {
  const compiled = compileLinearRegex(matcher.regex);
  return compiled.ok ? matcher.regex : at.field('regex').fail(compiled.error, '');
}

export const encodeHeaderMatch = (match: HeaderMatch): MessageInitShape<typeof HeaderMatcherSchema> => ({
  name: match.name,
  headerMatchSpecifier:
    match.value.kind === 'present'
      ? { case: 'presentMatch', value: true }
      : { case: 'stringMatch', value: encodeStringMatch(match.value) },
  invertMatch: match.invert,
});

export function decodeHeaderMatch(matcher: HeaderMatcher, at: At): HeaderMatch {
  if (matcher.name === '') at.field('name').fail('name is required', undefined);
  const name = matcher.name.toLowerCase();
  const specifier = matcher.headerMatchSpecifier;
  if (specifier.case === 'stringMatch') {
    const value = decodeStringMatch(specifier.value, at.field('string_match'));
    return { name, value, invert: matcher.invertMatch };
  }
  const older = decodeOlder(specifier, at);
  if (older !== undefined) return { name, value: older, invert: matcher.invertMatch };
  // Nothing said means presence; presence of `false` means absence.
  const absent = specifier.case === 'presentMatch' && !specifier.value;
  return { name, value: { kind: 'present' }, invert: matcher.invertMatch !== absent };
}

const olderKinds = {
  exactMatch: 'exact',
  prefixMatch: 'prefix',
  suffixMatch: 'suffix',
  containsMatch: 'contains',
} as const;

/** What Envoy had before `string_match`, and still takes. */
function decodeOlder(specifier: HeaderMatcher['headerMatchSpecifier'], at: At): StringMatch | undefined {
  switch (specifier.case) {
    case 'exactMatch':
    case 'prefixMatch':
    case 'suffixMatch':
    case 'containsMatch':
      return { kind: olderKinds[specifier.case], value: specifier.value, ignoreCase: false };
    case 'safeRegexMatch':
      return { kind: 'regex', value: decodeRegex(specifier.value, at.field('safe_regex_match')) };
    default:
      return undefined;
  }
}

export const encodeQueryParameterMatch = (
  match: QueryParameterMatch,
): MessageInitShape<typeof QueryParameterMatcherSchema> => ({
  name: match.name,
  queryParameterMatchSpecifier:
    match.value.kind === 'present'
      ? { case: 'presentMatch', value: true }
      : { case: 'stringMatch', value: encodeStringMatch(match.value) },
});

export function decodeQueryParameterMatch(matcher: QueryParameterMatcher, at: At): QueryParameterMatch {
  if (matcher.name === '') at.field('name').fail('name is required', undefined);
  const specifier = matcher.queryParameterMatchSpecifier;
  if (specifier.case === 'stringMatch') {
    return { name: matcher.name, value: decodeStringMatch(specifier.value, at.field('string_match')) };
  }
  if (specifier.case === 'presentMatch' && !specifier.value) {
    at.field('present_match').fail('absence of a query parameter cannot be matched', undefined);
  }
  return { name: matcher.name, value: { kind: 'present' } };
}
