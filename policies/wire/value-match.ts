import type { MessageInitShape } from '@bufbuild/protobuf';
import type { ValueMatch } from '../model/value-match.ts';
import type { At } from './decoding.ts';
import type { ValueMatcher, ValueMatcherSchema } from './gen/envoy/type/matcher/v3/value_pb.ts';
import { decodeStringMatch, encodeStringMatch } from './match.ts';

type Encoded = MessageInitShape<typeof ValueMatcherSchema>;

export function encodeValueMatch(match: ValueMatch): Encoded {
  switch (match.kind) {
    case 'present':
      return { matchPattern: { case: 'presentMatch', value: true } };
    case 'string':
      return { matchPattern: { case: 'stringMatch', value: encodeStringMatch(match.match) } };
    case 'number':
      return { matchPattern: { case: 'doubleMatch', value: { matchPattern: { case: 'exact', value: match.value } } } };
    case 'boolean':
      return { matchPattern: { case: 'boolMatch', value: match.value } };
    case 'element': {
      const value = { matchPattern: { case: 'oneOf' as const, value: encodeValueMatch(match.match) } };
      return { matchPattern: { case: 'listMatch', value } };
    }
    case 'or':
      return { matchPattern: { case: 'orMatch', value: { valueMatchers: match.matches.map(encodeValueMatch) } } };
  }
}

export function decodeValueMatch(matcher: ValueMatcher | undefined, at: At): ValueMatch {
  const present: ValueMatch = { kind: 'present' };
  const pattern = matcher?.matchPattern;
  switch (pattern?.case) {
    case 'presentMatch':
      return pattern.value ? present : at.field('present_match').fail('absence is said with not_id', present);
    case 'stringMatch':
      return { kind: 'string', match: decodeStringMatch(pattern.value, at.field('string_match')) };
    case 'doubleMatch': {
      const number = pattern.value.matchPattern;
      if (number.case === 'exact') return { kind: 'number', value: number.value };
      return at.field('double_match').fail('exact is required', present);
    }
    case 'boolMatch':
      return { kind: 'boolean', value: pattern.value };
    case 'listMatch': {
      const list = pattern.value.matchPattern;
      const here = at.field('list_match').field('one_of');
      return {
        kind: 'element',
        match: decodeValueMatch(list.case === 'oneOf' ? list.value : undefined, here),
      };
    }
    case 'orMatch': {
      const here = at.field('or_match').field('value_matchers');
      const { valueMatchers } = pattern.value;
      if (valueMatchers.length < 2) here.fail('at least two are required', undefined);
      return { kind: 'or', matches: valueMatchers.map((one, i) => decodeValueMatch(one, here.index(i))) };
    }
    default:
      return at.fail('a match pattern is required', present);
  }
}
