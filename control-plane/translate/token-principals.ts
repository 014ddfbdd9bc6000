/** `jwt` of a source: what the verified token of a request says. */
import type { Principal } from '@weft/policies/model/authorization';
import type { StringMatch } from '@weft/policies/model/match';
import type { ValueMatch } from '@weft/policies/model/value-match';
import { escapeRegex, parsePattern } from './patterns.ts';
import { anyAndNone, type Source } from './source-values.ts';

type Token = NonNullable<Source['jwt']>;

/** The payload itself: there is one where a token was verified. */
const verified: Principal = { kind: 'claim', path: [], value: { kind: 'present' } };

export function tokenIds(token: Token | undefined): Principal[] {
  if (token === undefined) return [];
  const { issuers, notIssuers, subjects, notSubjects, audiences, notAudiences, scopes, notScopes, claims } = token;
  const called =
    (name: string) =>
    (value: string): Principal =>
      claim([name], value);
  return [
    ...(token.token === undefined
      ? []
      : [token.token === 'Verified' ? verified : { kind: 'not' as const, id: verified }]),
    ...anyAndNone(issuers, notIssuers, called('iss')),
    ...anyAndNone(subjects, notSubjects, called('sub')),
    ...anyAndNone(audiences, notAudiences, called('aud')),
    ...anyAndNone(scopes, notScopes, scope),
    ...(claims ?? []).flatMap(({ path, values, notValues }) =>
      anyAndNone(values, notValues, (value) => claim(path, value)),
    ),
  ];
}

function claim(path: readonly string[], text: string): Principal {
  const pattern = parsePattern(text);
  if (pattern.kind === 'any') return { kind: 'claim', path, value: { kind: 'present' } };
  const one: ValueMatch = { kind: 'string', match: pattern };
  const others = notStrings(pattern);
  return { kind: 'claim', path, value: oneOf([one, element(one), ...others, ...others.map(element)]) };
}

/** A policy says its values as text; a token may have them as JSON numbers and booleans. */
function notStrings(pattern: StringMatch): ValueMatch[] {
  if (pattern.kind !== 'exact') return [];
  const { value } = pattern;
  if (value === 'true' || value === 'false') return [{ kind: 'boolean', value: value === 'true' }];
  const number = Number(value);
  return Number.isFinite(number) && String(number) === value ? [{ kind: 'number', value: number }] : [];
}

/** A list of words in one string (RFC 8693 section 4.2), or, as many issuers have it, in a list. */
function scope(name: string): Principal {
  const inText: ValueMatch = { kind: 'string', match: { kind: 'regex', value: `(.* )?${escapeRegex(name)}( .*)?` } };
  const alone: ValueMatch = { kind: 'string', match: { kind: 'exact', value: name, ignoreCase: false } };
  return { kind: 'claim', path: ['scope'], value: oneOf([inText, element(alone)]) };
}

const element = (match: ValueMatch): ValueMatch => ({ kind: 'element', match });
const oneOf = (matches: readonly ValueMatch[]): ValueMatch => ({ kind: 'or', matches });
