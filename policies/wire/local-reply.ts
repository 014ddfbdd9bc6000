import type { MessageInitShape } from '@bufbuild/protobuf';
import type { LocalReplies, LocalReplyFormat, LocalReplyMapper } from '../model/local-reply.ts';
import { noMutation } from '../model/route.ts';
import { decodeFilter, decodeLogFormat, decodeText } from './access-log-decode.ts';
import { encodeLogFilter, encodeLogFormat } from './access-log-encode.ts';
import type { At } from './decoding.ts';
import type {
  SubstitutionFormatString,
  SubstitutionFormatStringSchema,
} from './gen/envoy/config/core/v3/substitution_format_string_pb.ts';
import type {
  LocalReplyConfig,
  LocalReplyConfigSchema,
  ResponseMapper,
  ResponseMapperSchema,
} from './gen/envoy/extensions/filters/network/http_connection_manager/v3/http_connection_manager_pb.ts';
import { decodeFieldValue, decodeMutation, encodeMutation } from './header-mutation.ts';

const STATUS_MIN = 200;
const STATUS_MAX = 599;

export const decodeLocalReplies = ({ mappers, bodyFormat }: LocalReplyConfig, at: At): LocalReplies => ({
  mappers: mappers.map((mapper, i) => decodeMapper(mapper, at.field('mappers').index(i))),
  body: bodyFormat && decodeBody(bodyFormat, at.field('body_format')),
});

function decodeMapper(mapper: ResponseMapper, at: At): LocalReplyMapper {
  const { filter, statusCode, body, bodyFormatOverride, headersToAdd } = mapper;
  if (statusCode !== undefined && (statusCode < STATUS_MIN || statusCode > STATUS_MAX)) {
    at.field('status_code').fail(`has to be from ${STATUS_MIN} to ${STATUS_MAX}`, undefined);
  }
  return {
    filter:
      filter === undefined
        ? at.field('filter').fail('is required', everything)
        : decodeFilter(filter, at.field('filter')),
    status: statusCode,
    text: body && decodeText(body, at.field('body')),
    body: bodyFormatOverride && decodeBody(bodyFormatOverride, at.field('body_format_override')),
    headers:
      headersToAdd.length === 0 ? noMutation : decodeMutation(headersToAdd, [], 'response', at.field('headers_to_add')),
  };
}

const everything = { kind: 'not-health-check' } as const;

/** Without a type of its own a body is what its format makes it. */
function decodeBody(message: SubstitutionFormatString, at: At): LocalReplyFormat | undefined {
  const format = decodeLogFormat(message, at);
  if (format === undefined) return undefined;
  const usual = format.kind === 'json' ? 'application/json' : 'text/plain';
  const contentType = message.contentType === '' ? usual : message.contentType;
  return { format, contentType: decodeFieldValue(contentType, at.field('content_type')) };
}

export const encodeLocalReplies = ({
  mappers,
  body,
}: LocalReplies): MessageInitShape<typeof LocalReplyConfigSchema> => ({
  mappers: mappers.map(encodeMapper),
  ...(body === undefined ? {} : { bodyFormat: encodeBody(body) }),
});

const encodeMapper = (mapper: LocalReplyMapper): MessageInitShape<typeof ResponseMapperSchema> => ({
  filter: encodeLogFilter(mapper.filter),
  ...(mapper.status === undefined ? {} : { statusCode: mapper.status }),
  ...(mapper.text === undefined ? {} : { body: { specifier: { case: 'inlineString', value: mapper.text } } }),
  ...(mapper.body === undefined ? {} : { bodyFormatOverride: encodeBody(mapper.body) }),
  headersToAdd: encodeMutation(mapper.headers),
});

const encodeBody = ({
  format,
  contentType,
}: LocalReplyFormat): MessageInitShape<typeof SubstitutionFormatStringSchema> => ({
  ...encodeLogFormat(format),
  contentType,
});
