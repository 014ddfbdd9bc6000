import type { JsonObject, MessageInitShape } from '@bufbuild/protobuf';
import type { FaultAbort, FaultDelay, FaultRate, HttpFault, TcpFault } from '../model/fault.ts';
import type { Fraction } from '../model/fraction.ts';
import type { At } from './decoding.ts';
import { decodeFraction, encodeFraction, fractionSetting, readFraction } from './fraction.ts';
import type {
  FaultDelay as DelayMessage,
  FaultDelaySchema,
  FaultRateLimitSchema,
  FaultRateLimit as RateMessage,
} from './gen/envoy/extensions/filters/common/fault/v3/fault_pb.ts';
import type {
  FaultAbort as AbortMessage,
  FaultAbortSchema,
  HTTPFault as FaultMessage,
  HTTPFaultSchema,
} from './gen/envoy/extensions/filters/http/fault/v3/fault_pb.ts';
import { decodeHeaderMatch, encodeHeaderMatch } from './match.ts';
import { DURATION_MS_MAX, decodeDuration, encodeDuration, type StructReader } from './values.ts';

const KIB_PER_SECOND_MAX = 4_194_304;
const COUNT_MAX = 4_294_967_295;

export const encodeHttpFault = (fault: HttpFault): MessageInitShape<typeof HTTPFaultSchema> => ({
  headers: fault.headers.map(encodeHeaderMatch),
  ...(fault.delay === undefined ? {} : { delay: encodeDelay(fault.delay) }),
  ...(fault.abort === undefined ? {} : { abort: encodeAbort(fault.abort) }),
  ...(fault.responseRate === undefined ? {} : { responseRateLimit: encodeRate(fault.responseRate) }),
  ...(fault.activeMax === undefined ? {} : { maxActiveFaults: fault.activeMax }),
});

const encodeDelay = ({ delayMs, share }: FaultDelay): MessageInitShape<typeof FaultDelaySchema> => ({
  faultDelaySecifier:
    delayMs === 'header' ? { case: 'headerDelay', value: {} } : { case: 'fixedDelay', value: encodeDuration(delayMs) },
  percentage: encodeFraction(share),
});

const encodeAbort = ({ status, share }: FaultAbort): MessageInitShape<typeof FaultAbortSchema> => ({
  errorType:
    status.kind === 'header'
      ? { case: 'headerAbort', value: {} }
      : { case: status.kind === 'http' ? 'httpStatus' : 'grpcStatus', value: status.code },
  percentage: encodeFraction(share),
});

const encodeRate = ({ kibPerSecond, share }: FaultRate): MessageInitShape<typeof FaultRateLimitSchema> => ({
  limitType:
    kibPerSecond === 'header'
      ? { case: 'headerLimit', value: {} }
      : { case: 'fixedLimit', value: { limitKbps: BigInt(kibPerSecond) } },
  percentage: encodeFraction(share),
});

export function decodeHttpFault(message: FaultMessage, at: At): HttpFault {
  const { delay, abort, responseRateLimit: rate, maxActiveFaults: activeMax } = message;
  return {
    headers: message.headers.map((one, i) => decodeHeaderMatch(one, at.field('headers').index(i))),
    ...(delay === undefined ? {} : { delay: decodeDelay(delay, at.field('delay')) }),
    ...(abort === undefined ? {} : { abort: decodeAbort(abort, at.field('abort')) }),
    ...(rate === undefined ? {} : { responseRate: decodeRate(rate, at.field('response_rate_limit')) }),
    ...(activeMax === undefined ? {} : { activeMax }),
  };
}

function decodeDelay({ faultDelaySecifier: said, percentage }: DelayMessage, at: At): FaultDelay {
  const share = decodeFraction(percentage, at.field('percentage'));
  switch (said.case) {
    case 'fixedDelay': {
      const delayMs = decodeDuration(said.value, 0, at.field('fixed_delay'));
      if (delayMs === 0) at.field('fixed_delay').fail('has to be more than 0', undefined);
      return { delayMs, share };
    }
    case 'headerDelay':
      return { delayMs: 'header', share };
    case undefined:
      return at.fail('fixed_delay or header_delay is required', { delayMs: 'header', share });
    default:
      return { delayMs: 'header', share };
  }
}

function decodeAbort({ errorType: said, percentage }: AbortMessage, at: At): FaultAbort {
  const share = decodeFraction(percentage, at.field('percentage'));
  switch (said.case) {
    case 'httpStatus':
      if (said.value < 200 || said.value > 599) at.field('http_status').fail('has to be from 200 to 599', undefined);
      return { status: { kind: 'http', code: said.value }, share };
    case 'grpcStatus':
      return { status: { kind: 'grpc', code: said.value }, share };
    case 'headerAbort':
      return { status: { kind: 'header' }, share };
    case undefined:
      return at.fail('http_status, grpc_status or header_abort is required', { status: { kind: 'header' }, share });
    default:
      return { status: { kind: 'header' }, share };
  }
}

function decodeRate({ limitType: said, percentage }: RateMessage, at: At): FaultRate {
  const share = decodeFraction(percentage, at.field('percentage'));
  switch (said.case) {
    case 'fixedLimit': {
      const kib = said.value.limitKbps;
      const here = at.field('fixed_limit').field('limit_kbps');
      if (kib < 1n || kib > BigInt(KIB_PER_SECOND_MAX)) {
        return here.fail(`has to be from 1 to ${KIB_PER_SECOND_MAX}`, { kibPerSecond: 1, share });
      }
      return { kibPerSecond: Number(kib), share };
    }
    case 'headerLimit':
      return { kibPerSecond: 'header', share };
    case undefined:
      return at.fail('fixed_limit or header_limit is required', { kibPerSecond: 'header', share });
    default:
      return { kibPerSecond: 'header', share };
  }
}

type Rate = NonNullable<TcpFault['requestRate']>;
type Share = { readonly share: Fraction };

const shareSetting = ({ share }: Share): JsonObject => fractionSetting(share);
const rateSetting = ({ kibPerSecond, share }: Rate): JsonObject => ({
  kib_per_second: kibPerSecond,
  ...fractionSetting(share),
});

const readShare = (reader: StructReader | undefined): Share | undefined => {
  if (reader === undefined) return undefined;
  const share = readFraction(reader);
  reader.end();
  return { share };
};

function readRate(reader: StructReader | undefined): Rate | undefined {
  if (reader === undefined) return undefined;
  const kibPerSecond = reader.number('kib_per_second', 1, KIB_PER_SECOND_MAX);
  const share = readFraction(reader);
  reader.end();
  return { kibPerSecond, share };
}

/** What Envoy's message has no field for. */
export const httpFaultSetting = ({ reset, requestRate }: HttpFault): JsonObject => ({
  ...(reset === undefined ? {} : { reset: shareSetting(reset) }),
  ...(requestRate === undefined ? {} : { request_rate: rateSetting(requestRate) }),
});

export function readHttpFault(reader: StructReader | undefined): Pick<HttpFault, 'reset' | 'requestRate'> {
  if (reader === undefined) return {};
  const reset = readShare(reader.object('reset'));
  const requestRate = readRate(reader.object('request_rate'));
  reader.end();
  return { ...(reset === undefined ? {} : { reset }), ...(requestRate === undefined ? {} : { requestRate }) };
}

export const tcpFaultSetting = ({ delay, reset, requestRate, responseRate, activeMax }: TcpFault): JsonObject => ({
  ...(delay === undefined ? {} : { delay: { delay_ms: delay.delayMs, ...shareSetting(delay) } }),
  ...(reset === undefined ? {} : { reset: shareSetting(reset) }),
  ...(requestRate === undefined ? {} : { request_rate: rateSetting(requestRate) }),
  ...(responseRate === undefined ? {} : { response_rate: rateSetting(responseRate) }),
  ...(activeMax === undefined ? {} : { active_max: activeMax }),
});

export function readTcpFault(reader: StructReader | undefined): TcpFault | undefined {
  if (reader === undefined) return undefined;
  const delayReader = reader.object('delay');
  const delayMs = delayReader?.number('delay_ms', 1, DURATION_MS_MAX);
  const delay = readShare(delayReader);
  const reset = readShare(reader.object('reset'));
  const requestRate = readRate(reader.object('request_rate'));
  const responseRate = readRate(reader.object('response_rate'));
  // 0 is nothing at all, so that absence needs a value of its own.
  const active = reader.number('active_max', -1, COUNT_MAX);
  reader.end();
  return {
    ...(delay === undefined || delayMs === undefined ? {} : { delay: { delayMs, ...delay } }),
    ...(reset === undefined ? {} : { reset }),
    ...(requestRate === undefined ? {} : { requestRate }),
    ...(responseRate === undefined ? {} : { responseRate }),
    ...(active < 0 ? {} : { activeMax: active }),
  };
}
