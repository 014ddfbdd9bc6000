import { create, type DescMessage, type JsonObject, type JsonValue, type MessageInitShape } from '@bufbuild/protobuf';
import { type Any, anyPack } from '@bufbuild/protobuf/wkt';
import type { AccessLog, AccessLogFilter, LogFormat, LogObject, LogValue } from '../model/access-log.ts';
import { encodeFraction } from './fraction.ts';
import {
  type AccessLogFilterSchema,
  type AccessLogSchema,
  type ComparisonFilterSchema,
  GrpcStatusFilter_Status as GrpcStatus,
  ComparisonFilter_Op as Op,
} from './gen/envoy/config/accesslog/v3/accesslog_pb.ts';
import type { SubstitutionFormatStringSchema } from './gen/envoy/config/core/v3/substitution_format_string_pb.ts';
import { AccessLogType } from './gen/envoy/data/accesslog/v3/accesslog_pb.ts';
import { FileAccessLogSchema } from './gen/envoy/extensions/access_loggers/file/v3/file_pb.ts';
import {
  StderrAccessLogSchema,
  StdoutAccessLogSchema,
} from './gen/envoy/extensions/access_loggers/stream/v3/stream_pb.ts';
import { encodeHeaderMatch } from './match.ts';

/** Envoy wants a key for what its runtime could override. */
const RUNTIME_KEY = 'weft.dev/none';

const typedConfig = <Desc extends DescMessage>(
  schema: Desc,
  init: MessageInitShape<Desc>,
): { case: 'typedConfig'; value: Any } => ({ case: 'typedConfig', value: anyPack(schema, create(schema, init)) });

export function encodeAccessLog(log: AccessLog): MessageInitShape<typeof AccessLogSchema> {
  const filter = log.filter === undefined ? {} : { filter: encodeLogFilter(log.filter) };
  const format =
    log.format === undefined
      ? {}
      : { accessLogFormat: { case: 'logFormat' as const, value: encodeLogFormat(log.format) } };
  switch (log.kind) {
    case 'stdout':
      return { name: 'envoy.access_loggers.stdout', configType: typedConfig(StdoutAccessLogSchema, format), ...filter };
    case 'stderr':
      return { name: 'envoy.access_loggers.stderr', configType: typedConfig(StderrAccessLogSchema, format), ...filter };
    case 'file':
      return {
        name: 'envoy.access_loggers.file',
        configType: typedConfig(FileAccessLogSchema, { path: log.path, ...format }),
        ...filter,
      };
  }
}

export const encodeLogFormat = (format: LogFormat): MessageInitShape<typeof SubstitutionFormatStringSchema> => ({
  omitEmptyValues: format.omitEmptyValues,
  format:
    format.kind === 'text'
      ? { case: 'textFormatSource', value: { specifier: { case: 'inlineString', value: format.text } } }
      : { case: 'jsonFormat', value: encodeObject(format.value) },
});

const encodeObject = (value: LogObject): JsonObject =>
  Object.fromEntries(Object.entries(value).map(([key, item]) => [key, encodeValue(item)]));

function encodeValue(value: LogValue): JsonValue {
  if (typeof value !== 'object' || value === null) return value;
  return isList(value) ? value.map(encodeValue) : encodeObject(value);
}

const isList = (value: readonly LogValue[] | LogObject): value is readonly LogValue[] => Array.isArray(value);

const grpcStatuses = Object.values(GrpcStatus);
const ops = { eq: Op.EQ, ge: Op.GE, le: Op.LE } as const;

export function encodeLogFilter(filter: AccessLogFilter): MessageInitShape<typeof AccessLogFilterSchema> {
  switch (filter.kind) {
    case 'status':
      return { filterSpecifier: { case: 'statusCodeFilter', value: { comparison: encodeComparison(filter) } } };
    case 'duration':
      return { filterSpecifier: { case: 'durationFilter', value: { comparison: encodeComparison(filter) } } };
    case 'flags':
      return { filterSpecifier: { case: 'responseFlagFilter', value: { flags: [...filter.flags] } } };
    case 'header':
      return { filterSpecifier: { case: 'headerFilter', value: { header: encodeHeaderMatch(filter.match) } } };
    case 'not-health-check':
      return { filterSpecifier: { case: 'notHealthCheckFilter', value: {} } };
    case 'grpc-status': {
      const { codes, exclude } = filter;
      const statuses = codes.flatMap((code) => grpcStatuses.filter((status) => status === code));
      return { filterSpecifier: { case: 'grpcStatusFilter', value: { statuses, exclude } } };
    }
    case 'share': {
      const { fraction, independent } = filter;
      const value = {
        runtimeKey: RUNTIME_KEY,
        percentSampled: encodeFraction(fraction),
        useIndependentRandomness: independent,
      };
      return { filterSpecifier: { case: 'runtimeFilter', value } };
    }
    case 'log-type': {
      const types = [
        ...(filter.http ? [AccessLogType.DownstreamEnd] : []),
        ...(filter.tcp ? [AccessLogType.TcpConnectionEnd] : []),
      ];
      return { filterSpecifier: { case: 'logTypeFilter', value: { types } } };
    }
    case 'and':
      return { filterSpecifier: { case: 'andFilter', value: { filters: filter.filters.map(encodeLogFilter) } } };
    case 'or':
      return { filterSpecifier: { case: 'orFilter', value: { filters: filter.filters.map(encodeLogFilter) } } };
  }
}

const encodeComparison = ({
  op,
  value,
}: {
  readonly op: 'eq' | 'ge' | 'le';
  readonly value: number;
}): MessageInitShape<typeof ComparisonFilterSchema> => ({
  op: ops[op],
  value: { defaultValue: value, runtimeKey: RUNTIME_KEY },
});
