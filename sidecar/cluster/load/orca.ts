/**
 * What an endpoint says of its load with a response: Open Request Cost Aggregation, xds.data.orca.v3.OrcaLoadReport.
 * In a field as text (`TEXT cpu_utilization=0.3,...`), JSON (`JSON {...}`) or base64 (`BIN ...`), or in the binary field
 * of gRPC (gRFC A51).
 */

export const ORCA_FIELD = 'endpoint-load-metrics';
export const ORCA_BINARY_FIELD = 'endpoint-load-metrics-bin';

/** More than a server that reports everything it has would say. */
const REPORT_CHARS_MAX = 8_192;
const ENTRIES_MAX = 256;

/** What weights are made of; the rest of a report is passed over. */
export interface LoadReport {
  cpuUtilization: number;
  applicationUtilization: number;
  /** Requests a second. */
  rate: number;
  /** Errors a second. */
  errors: number;
}

export const emptyReport = (): LoadReport => ({ cpuUtilization: 0, applicationUtilization: 0, rate: 0, errors: 0 });

/** False: it is no report, or larger than what is looked at; `into` says nothing then. */
export function parseReport(text: string, into: LoadReport): boolean {
  if (text.length > REPORT_CHARS_MAX) return false;
  clear(into);
  if (text.startsWith('TEXT ')) return parseText(text, into);
  if (text.startsWith('JSON ')) return parseJson(text.slice(5), into);
  if (text.startsWith('BIN ')) return parseBinary(text.slice(4), into);
  return false;
}

export function parseBinaryReport(text: string, into: LoadReport): boolean {
  if (text.length > REPORT_CHARS_MAX) return false;
  clear(into);
  return parseBinary(text, into);
}

function clear(report: LoadReport): void {
  report.cpuUtilization = 0;
  report.applicationUtilization = 0;
  report.rate = 0;
  report.errors = 0;
}

/** A load is a number that is neither negative nor endless. */
const isLoad = (value: unknown): value is number => typeof value === 'number' && value >= 0 && value < Infinity;

function take(name: string, value: unknown, into: LoadReport): boolean {
  switch (name) {
    case 'cpu_utilization':
    case 'cpuUtilization':
      if (!isLoad(value)) return false;
      into.cpuUtilization = value;
      return true;
    case 'application_utilization':
    case 'applicationUtilization':
      if (!isLoad(value)) return false;
      into.applicationUtilization = value;
      return true;
    case 'rps_fractional':
    case 'rpsFractional':
      if (!isLoad(value)) return false;
      into.rate = value;
      return true;
    case 'eps':
      if (!isLoad(value)) return false;
      into.errors = value;
      return true;
    default:
      return true;
  }
}

const NUMBER = /^[+-]?(\d+\.?\d*|\.\d+)([eE][+-]?\d{1,4})?$/;

function parseText(text: string, into: LoadReport): boolean {
  let from = 5;
  for (let entries = 0; from <= text.length; entries++) {
    if (entries === ENTRIES_MAX) return false;
    let end = text.indexOf(',', from);
    if (end === -1) end = text.length;
    // `:` was the separator once.
    const entry = text.slice(from, end).trim();
    const equals = entry.search(/[=:]/);
    const value = equals === -1 ? '' : entry.slice(equals + 1).trim();
    if (!NUMBER.test(value) || !take(entry.slice(0, equals).trim(), Number(value), into)) return false;
    from = end + 1;
  }
  return true;
}

function parseJson(text: string, into: LoadReport): boolean {
  let value: unknown;
  try {
    value = JSON.parse(text);
  } catch {
    return false;
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return false;
  for (const [name, one] of Object.entries(value)) {
    if (!take(name, typeof one === 'string' && NUMBER.test(one) ? Number(one) : one, into)) return false;
  }
  return true;
}

const CPU_UTILIZATION = 1;
const RATE = 6;
const ERRORS = 7;
const APPLICATION_UTILIZATION = 9;

/** The protobuf encoding, of which only the doubles are looked at. */
function parseBinary(base64: string, into: LoadReport): boolean {
  const bytes = Buffer.from(base64, 'base64');
  let at = 0;
  while (at < bytes.length) {
    const tag = bytes[at++] ?? 0;
    const field = tag >>> 3;
    switch (tag & 7) {
      case 0:
        while ((bytes[at++] ?? 0) >= 0x80) if (at >= bytes.length) return false;
        break;
      case 1: {
        if (at + 8 > bytes.length || !takeField(field, bytes.readDoubleLE(at), into)) return false;
        at += 8;
        break;
      }
      case 2: {
        let length = 0;
        let shift = 0;
        for (let more = true; more; shift += 7) {
          const byte = bytes[at++];
          if (byte === undefined || shift > 21) return false;
          length |= (byte & 0x7f) << shift;
          more = byte >= 0x80;
        }
        at += length;
        break;
      }
      default:
        return false;
    }
  }
  return at === bytes.length;
}

function takeField(field: number, value: number, into: LoadReport): boolean {
  switch (field) {
    case CPU_UTILIZATION:
      return take('cpu_utilization', value, into);
    case RATE:
      return take('rps_fractional', value, into);
    case ERRORS:
      return take('eps', value, into);
    case APPLICATION_UTILIZATION:
      return take('application_utilization', value, into);
    default:
      return true;
  }
}
