import { type Prng, systemPrng } from '@weft/policies/kit/prng';
import type { AccessLogFilter } from '@weft/policies/model/access-log';
import { type Fraction, isAmong } from '@weft/policies/model/fraction';
import { codeOfHttpStatus } from '../../http/grpc-status.ts';
import { HeaderMatcher } from '../../route/fields.ts';
import type { RequestRecord } from '../record.ts';
import type { LogEntry } from './entry.ts';

export type PassesFilter = (entry: LogEntry) => boolean;

function compare(op: 'eq' | 'ge' | 'le', value: number, wanted: number): boolean {
  switch (op) {
    case 'eq':
      return value === wanted;
    case 'ge':
      return value >= wanted;
    case 'le':
      return value <= wanted;
  }
}

const grpcCode = ({ grpcStatus, status }: RequestRecord): number =>
  grpcStatus >= 0 ? grpcStatus : codeOfHttpStatus(status);

/** The first digits of a UUID are as good as dice, and the same for everybody who sees the request. */
const ID_DIGITS = /^[0-9a-f]{8}/i;

function isChosen(fraction: Fraction, requestId: string, prng: Prng): boolean {
  const digits = ID_DIGITS.exec(requestId);
  if (digits === null) return isAmong(fraction, prng);
  return Number.parseInt(digits[0], 16) % fraction.denominator < fraction.numerator;
}

/** Which exchanges a logger writes. */
export function compileFilter(filter: AccessLogFilter, prng: Prng = systemPrng): PassesFilter {
  switch (filter.kind) {
    case 'status':
      return ({ record }) => compare(filter.op, record.status, filter.value);
    case 'duration':
      return ({ record }) => compare(filter.op, Math.floor(record.durationMs), filter.value);
    case 'flags': {
      const flags = new Set(filter.flags);
      return ({ record }) => (flags.size === 0 ? record.flag !== '' : flags.has(record.flag));
    }
    case 'header': {
      const matcher = new HeaderMatcher(filter.match);
      return ({ http }) => http !== undefined && matcher.test(http.head);
    }
    case 'not-health-check':
      return () => true;
    case 'grpc-status': {
      const codes = new Set(filter.codes);
      return ({ record }) => codes.has(grpcCode(record)) !== filter.exclude;
    }
    case 'share':
      return ({ record }) => isChosen(filter.fraction, filter.independent ? '' : record.requestId, prng);
    case 'log-type':
      return ({ record }) => (record.protocol === 'tcp' ? filter.tcp : filter.http);
    case 'and': {
      const filters = filter.filters.map((one) => compileFilter(one, prng));
      return (entry) => filters.every((passes) => passes(entry));
    }
    case 'or': {
      const filters = filter.filters.map((one) => compileFilter(one, prng));
      return (entry) => filters.some((passes) => passes(entry));
    }
  }
}
