import { isMessage, type JsonObject, type JsonValue } from '@bufbuild/protobuf';
import type { AccessLog, AccessLogFilter, LogFormat, LogObject, LogValue } from '../model/access-log.ts';
import { parseLogFormat } from '../model/log-format.ts';
import type { At } from './decoding.ts';
import { decodeFraction } from './fraction.ts';
import {
  type AccessLogFilter as AccessLogFilterMessage,
  type AccessLog as AccessLogMessage,
  type ComparisonFilter,
  GrpcStatusFilter_Status as GrpcStatus,
  ComparisonFilter_Op as Op,
} from './gen/envoy/config/accesslog/v3/accesslog_pb.ts';
import type { DataSource } from './gen/envoy/config/core/v3/base_pb.ts';
import type { SubstitutionFormatString } from './gen/envoy/config/core/v3/substitution_format_string_pb.ts';
import { AccessLogType } from './gen/envoy/data/accesslog/v3/accesslog_pb.ts';
import { type FileAccessLog, FileAccessLogSchema } from './gen/envoy/extensions/access_loggers/file/v3/file_pb.ts';
import {
  StderrAccessLogSchema,
  StdoutAccessLogSchema,
} from './gen/envoy/extensions/access_loggers/stream/v3/stream_pb.ts';
import { decodeHeaderMatch } from './match.ts';

export function decodeAccessLog(log: AccessLogMessage, at: At): AccessLog {
  const filter = log.filter && decodeFilter(log.filter, at.field('filter'));
  const here = at.field('typed_config');
  const config = log.configType.case === 'typedConfig' ? at.decoding.unpack(log.configType.value) : undefined;
  if (isMessage(config, StdoutAccessLogSchema) || isMessage(config, StderrAccessLogSchema)) {
    const kind = isMessage(config, StdoutAccessLogSchema) ? 'stdout' : 'stderr';
    const { accessLogFormat: format } = config;
    return {
      kind,
      path: '',
      format: format.case === 'logFormat' ? decodeFormat(format.value, here.field('log_format')) : undefined,
      filter,
    };
  }
  if (isMessage(config, FileAccessLogSchema)) {
    if (config.path === '') here.field('path').fail('is required', undefined);
    return { kind: 'file', path: config.path, format: decodeFileFormat(config, here), filter };
  }
  if (config !== undefined || log.configType.case === undefined) {
    here.fail('has to be an access log to stdout, stderr or a file', undefined);
  }
  return { kind: 'stdout', path: '', format: undefined, filter };
}

/** A line of a log has no type. */
function decodeFormat(format: SubstitutionFormatString, at: At): LogFormat | undefined {
  if (format.contentType !== '') at.field('content_type').fail('says nothing in an access log', undefined);
  return decodeLogFormat(format, at);
}

function decodeFileFormat({ accessLogFormat: format }: FileAccessLog, at: At): LogFormat | undefined {
  switch (format.case) {
    case 'format':
      return textFormat(format.value, false, at.field('format'));
    case 'jsonFormat':
      return jsonFormat(format.value, false, at.field('json_format'));
    case 'typedJsonFormat':
      return jsonFormat(format.value, false, at.field('typed_json_format'));
    case 'logFormat':
      return decodeFormat(format.value, at.field('log_format'));
    default:
      return undefined;
  }
}

export function decodeLogFormat(format: SubstitutionFormatString, at: At): LogFormat | undefined {
  const { omitEmptyValues } = format;
  switch (format.format.case) {
    case 'textFormat':
      return textFormat(format.format.value, omitEmptyValues, at.field('text_format'));
    case 'textFormatSource': {
      const here = at.field('text_format_source');
      return textFormat(decodeText(format.format.value, here), omitEmptyValues, here);
    }
    case 'jsonFormat':
      return jsonFormat(format.format.value, omitEmptyValues, at.field('json_format'));
    default:
      return at.fail('text_format_source or json_format is required', undefined);
  }
}

export function decodeText({ specifier }: DataSource, at: At): string {
  if (specifier.case === 'inlineString') return specifier.value;
  if (specifier.case === 'inlineBytes') return Buffer.from(specifier.value).toString('utf8');
  return at.fail('inline_string or inline_bytes is required: Weft reads no format from a file', '');
}

function textFormat(text: string, omitEmptyValues: boolean, at: At): LogFormat {
  checkText(text, at);
  return { kind: 'text', text, omitEmptyValues };
}

function jsonFormat(value: JsonObject, omitEmptyValues: boolean, at: At): LogFormat {
  return { kind: 'json', value: logObject(value, at), omitEmptyValues };
}

function logObject(value: JsonObject, at: At): LogObject {
  return Object.fromEntries(Object.entries(value).map(([key, item]) => [key, logValue(item, at.field(key))]));
}

function logValue(value: JsonValue, at: At): LogValue {
  if (typeof value === 'string') checkText(value, at);
  if (typeof value !== 'object' || value === null) return value;
  if (Array.isArray(value)) return value.map((item, i) => logValue(item, at.index(i)));
  return logObject(value, at);
}

function checkText(text: string, at: At): void {
  const parsed = parseLogFormat(text);
  if (!parsed.ok) at.fail(parsed.error, undefined);
}

export function decodeFilter({ filterSpecifier: filter }: AccessLogFilterMessage, at: At): AccessLogFilter {
  switch (filter.case) {
    case 'statusCodeFilter': {
      const here = at.field('status_code_filter').field('comparison');
      return { kind: 'status', ...decodeComparison(filter.value.comparison, here) };
    }
    case 'durationFilter': {
      const here = at.field('duration_filter').field('comparison');
      return { kind: 'duration', ...decodeComparison(filter.value.comparison, here) };
    }
    case 'responseFlagFilter':
      return { kind: 'flags', flags: [...filter.value.flags] };
    case 'headerFilter': {
      const here = at.field('header_filter').field('header');
      const { header } = filter.value;
      if (header === undefined) return here.fail('is required', everything);
      return { kind: 'header', match: decodeHeaderMatch(header, here) };
    }
    case 'notHealthCheckFilter':
      return { kind: 'not-health-check' };
    case 'grpcStatusFilter': {
      const { statuses, exclude } = filter.value;
      const unknown = statuses.find((status) => !grpcStatuses.includes(status));
      if (unknown !== undefined) at.field('grpc_status_filter').fail(`${unknown} is no status of gRPC`, undefined);
      return { kind: 'grpc-status', codes: [...statuses], exclude };
    }
    case 'runtimeFilter': {
      const fraction = decodeFraction(filter.value.percentSampled, at.field('runtime_filter').field('percent_sampled'));
      return { kind: 'share', fraction, independent: filter.value.useIndependentRandomness };
    }
    case 'logTypeFilter': {
      const { types, exclude } = filter.value;
      const passes = (type: AccessLogType): boolean => types.includes(type) !== exclude;
      return {
        kind: 'log-type',
        http: passes(AccessLogType.DownstreamEnd),
        tcp: passes(AccessLogType.TcpConnectionEnd),
      };
    }
    case 'andFilter':
      return { kind: 'and', filters: decodeFilters(filter.value.filters, at.field('and_filter').field('filters')) };
    case 'orFilter':
      return { kind: 'or', filters: decodeFilters(filter.value.filters, at.field('or_filter').field('filters')) };
    case undefined:
      return at.fail('a filter is required', everything);
    default:
      // Refused by its own path, as every field that is not supported.
      return everything;
  }
}

const grpcStatuses: readonly number[] = Object.values(GrpcStatus);
const everything: AccessLogFilter = { kind: 'not-health-check' };

function decodeFilters(filters: readonly AccessLogFilterMessage[], at: At): readonly AccessLogFilter[] {
  if (filters.length < 2) at.fail('at least two are required', undefined);
  return filters.map((filter, i) => decodeFilter(filter, at.index(i)));
}

const ops = new Map<Op, 'eq' | 'ge' | 'le'>([
  [Op.EQ, 'eq'],
  [Op.GE, 'ge'],
  [Op.LE, 'le'],
]);

function decodeComparison(
  comparison: ComparisonFilter | undefined,
  at: At,
): { readonly op: 'eq' | 'ge' | 'le'; readonly value: number } {
  if (comparison?.value === undefined) return at.field('value').fail('is required', { op: 'eq', value: 0 });
  const op = ops.get(comparison.op) ?? at.field('op').fail('has to be EQ, GE or LE', 'eq' as const);
  return { op, value: comparison.value.defaultValue };
}
