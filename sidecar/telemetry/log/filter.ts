import type { AccessLogFilter } from '@weft/policies/model/access-log';
import { HeaderMatcher } from '../../route/fields.ts';
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

/** Which exchanges a logger writes. */
export function compileFilter(filter: AccessLogFilter): PassesFilter {
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
    case 'and': {
      const filters = filter.filters.map(compileFilter);
      return (entry) => filters.every((passes) => passes(entry));
    }
    case 'or': {
      const filters = filter.filters.map(compileFilter);
      return (entry) => filters.some((passes) => passes(entry));
    }
  }
}
