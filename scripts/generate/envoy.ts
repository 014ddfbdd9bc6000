import { type HeaderSide, parseHeaderFormat } from '../../policies/model/header-format.ts';
import { plainLogFields, unanswered } from '../../policies/model/log-fields.ts';
import { parseLogFormat } from '../../policies/model/log-format.ts';
import { allSupportedFields } from '../../policies/wire/supported-fields.ts';

const NOTE = '<!-- Generated from policies/wire and policies/model by `npm run generate`; changes here are lost. -->';

/** An example of each operator with an argument, which has to be one, and what it says. */
const withArguments: readonly (readonly [example: string, meaning: string])[] = [
  ['%REQ(NAME?OTHER):64%', 'a field of the request, the other where it is absent; also `REQUEST_HEADER`'],
  ['%RESP(NAME?OTHER)%', 'of the response; also `RESPONSE_HEADER`'],
  ['%TRAILER(NAME)%', "of the response's trailers; also `RESPONSE_TRAILER`"],
  [
    '%PATH(NQ:ORIG)%',
    '`WQ` with or `NQ` without the query; `ORIG` before, `PATH` after it was rewritten, `ORIG_OR_PATH`',
  ],
  ['%QUERY_PARAM(name)%', 'the first parameter of that name, decoded'],
  ['%QUERY_PARAMS(DECODED)%', 'the query, `ORIG` or `DECODED`'],
  ['%START_TIME(%Y-%m-%dT%H:%M:%S.%3f%z)%', 'in UTC; `START_TIME_LOCAL`, `EMIT_TIME` and `EMIT_TIME_LOCAL` alike'],
  ['%DOWNSTREAM_PEER_CERT_V_END(%F)%', 'also `..._V_START`, and both of `UPSTREAM_PEER_CERT`'],
  [
    '%COMMON_DURATION(DS_RX_BEG:US_TX_END:us)%',
    'between two of `DS_RX_BEG`, `DS_RX_END`, `US_TX_BEG`, `US_TX_END`, `US_RX_BEG`, `DS_TX_BEG`, `DS_TX_END`, in `ms`, `us` or `ns`',
  ],
  ['%DOWNSTREAM_REMOTE_ADDRESS_WITHOUT_PORT(24)%', 'the network of an address; of every `..._ADDRESS_WITHOUT_PORT`'],
  [
    '%REQUESTED_SERVER_NAME(SNI_FIRST:HOST)%',
    '`SNI_ONLY`, `SNI_FIRST` or `HOST_FIRST`; `ORIG`, `HOST` or `ORIG_OR_HOST`',
  ],
  ['%RESPONSE_CODE_DETAILS(ALLOW_WHITESPACES)%', 'with its blanks'],
  ['%GRPC_STATUS(SNAKE_STRING)%', '`CAMEL_STRING`, `SNAKE_STRING` or `NUMBER`'],
  ['%ENVIRONMENT(NAME)%', 'a variable of the process'],
  [
    '%DYNAMIC_METADATA(envoy.filters.http.jwt_authn:jwt:sub)%',
    'a claim of a verified token, and nothing else; also `METADATA(DYNAMIC:...)`',
  ],
  [
    '%COALESCE({"operators": ["TRACE_ID", {"command": "REQ", "param": ":authority"}]})%',
    'the first that says something',
  ],
];

/** Those without an argument that a header cannot have. */
const tooEarly = (side: HeaderSide): readonly string[] =>
  plainLogFields.filter((field) => !parseHeaderFormat(`%${field}%`, side).ok);

const list = (names: Iterable<string>): string => [...names].map((name) => `\`${name}\``).join(', ');
const cell = (text: string): string => text.replaceAll('|', '\\|');

function operatorRows(): string {
  for (const [example] of withArguments) {
    const parsed = parseLogFormat(example);
    if (!parsed.ok) throw new Error(`the reference names an operator that is refused: ${parsed.error}`);
  }
  return withArguments.map(([example, meaning]) => `| \`${cell(example)}\` | ${cell(meaning)} |`).join('\n');
}

function messageRows(): string {
  return [...allSupportedFields()]
    .filter(([message]) => !message.startsWith('weft.'))
    .sort(([a], [b]) => (a < b ? -1 : 1))
    .map(([message, names]) => `| \`${message}\` | ${names.size === 0 ? 'no fields of its own' : list(names)} |`)
    .join('\n');
}

/** What Weft takes of Envoy's configuration. */
export const envoyFiles = (): ReadonlyMap<string, string> =>
  new Map([
    [
      'docs/reference/envoy.md',
      `${NOTE}

# What is taken of Envoy's configuration

\`weft sidecar -c\` and the sidecars of a mesh act on these fields of Envoy's v3 API. Any other that is set is an error
with its path in a bootstrap, and a NACK over xDS.

## Command operators

In access logs, in the bodies of local replies and in values of headers, each with \`:LENGTH\` after it where it is to be cut. Without an argument:

${list(plainLogFields)}.

| with an argument | what it says |
| --- | --- |
${operatorRows()}

A header is sent before all of it is known. \`request_headers_to_add\` (of routes, what they are in, weighted clusters and
rate limits) and \`response_headers_to_add\` take no \`TRAILER\` and no \`GRPC_STATUS\`; no
${list(tooEarly('response'))}; and those of requests no \`RESP\` and no
${list(tooEarly('request').filter((one) => !tooEarly('response').includes(one)))}.
A header of which nothing is known is left out, unless \`keep_empty_value\` is set; so is one whose value could become
another header (line ends that a client has encoded).

These are refused:

| operator | why |
| --- | --- |
${[...unanswered].map(([name, why]) => `| \`${name}\` | ${why} |`).join('\n')}

A certificate is said of a client only where it was verified. Of an error that HTTP/1's or HTTP/2's codec answers itself
(a malformed head, a time-out before there is a request) the words are Weft's own, whatever \`local_reply_config\` says.
\`per_connection_buffer_limit_bytes\` bounds what waits to be sent; it never allows more than Weft's own bounds.

## Fields

| message | fields |
| --- | --- |
${messageRows()}
`,
    ],
  ]);
