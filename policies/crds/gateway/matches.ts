/** Which requests a rule of an HTTPRoute is for. */
import { z } from 'zod';
import { headerName, httpMethods } from '../formats.ts';
import { listOf, mapOf, withRules } from '../schema.ts';

/** RFC 3986 section 3.3, `pchar` and the slash. */
const pathCharacters = /^(?:[-A-Za-z0-9/._~!$&'()*+,;=:@]|[%][0-9a-fA-F]{2})+$/;

interface PathMatch {
  readonly type: 'Exact' | 'PathPrefix' | 'RegularExpression';
  readonly value: string;
}

const literal = (test: (value: string) => boolean) => (match: PathMatch) =>
  match.type === 'RegularExpression' || test(match.value);

function literalRule(cel: string, message: string, test: (value: string) => boolean) {
  return {
    cel: `self.type in ['Exact', 'PathPrefix'] ? ${cel} : true`,
    message: `${message} (types Exact and PathPrefix)`,
    path: ['value'],
    check: literal(test),
  };
}

/** Parts that a normalised path cannot have, so that such a match would never be met. */
const neverIn = ['//', '/./', '/../', '%2f', '%2F', '#'];
const neverAtEnd = ['/..', '/.'];

export const pathMatch = withRules(
  z.strictObject({
    type: z
      .enum(['Exact', 'PathPrefix', 'RegularExpression'])
      .default('PathPrefix')
      .describe('How `value` is compared.'),
    value: z
      .string()
      .max(1024)
      .default('/')
      .describe('The path, a prefix of whole path elements, or an RE2 expression.'),
  }),
  [
    literalRule("self.value.startsWith('/')", "must start with '/'", (value) => value.startsWith('/')),
    ...neverIn.map((part) =>
      literalRule(`!self.value.contains('${part}')`, `must not contain '${part}'`, (value) => !value.includes(part)),
    ),
    ...neverAtEnd.map((part) =>
      literalRule(`!self.value.endsWith('${part}')`, `must not end with '${part}'`, (value) => !value.endsWith(part)),
    ),
    literalRule(
      `self.value.matches(r"""${pathCharacters.source.replaceAll('\\/', '/')}""")`,
      'must consist of path characters; percent-encode others',
      (value) => pathCharacters.test(value),
    ),
  ],
);

const compare = () => z.enum(['Exact', 'RegularExpression']).default('Exact').describe('How `value` is compared.');

const headerMatch = z.strictObject({
  type: compare(),
  name: headerName().describe('Name of a header, in any case.'),
  value: z.string().min(1).max(4096).describe('Value of the header.'),
});

const queryParamMatch = z.strictObject({
  type: compare(),
  name: headerName().describe('Name of a query parameter, in exactly this case.'),
  value: z.string().min(1).max(1024).describe('Value of the parameter.'),
});

/** Specification: a rule without matches takes every request, and a match without a path any path. */
const anyPath: { type: 'PathPrefix'; value: string } = { type: 'PathPrefix', value: '/' };

const routeMatch = z.strictObject({
  path: pathMatch.default(anyPath).describe('Path of the request.'),
  headers: mapOf(headerMatch, 'name', { max: 16 }).optional().describe('Headers, all of which must match.'),
  queryParams: mapOf(queryParamMatch, 'name', { max: 16 })
    .optional()
    .describe('Query parameters, all of which must match.'),
  method: z
    .enum(httpMethods)
    .optional()
    .describe('Method of the request. CONNECT has no path: a match for it says neither `path` nor `queryParams`.'),
});

export const routeMatches = listOf(routeMatch, { max: 64 })
  .default([{ path: anyPath }])
  .describe('Conditions, any of which makes the rule apply. The most specific match of all routes wins.');
