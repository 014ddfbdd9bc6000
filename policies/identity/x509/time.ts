import { err, ok, type Result } from '../../kit/result.ts';
import * as der from './der.ts';

const pad = (value: number, digits: number): string => String(value).padStart(digits, '0');

/** RFC 5280 section 4.1.2.5: UTCTime through the year 2049, GeneralizedTime from 2050; whole seconds, GMT. */
export function encodeTime(unixMs: number): der.DerNode {
  const date = new Date(unixMs);
  const year = date.getUTCFullYear();
  if (!(year >= 1950 && year <= 9999)) throw new RangeError(`year ${year} cannot be written in a certificate`);
  const rest = [date.getUTCMonth() + 1, date.getUTCDate(), date.getUTCHours(), date.getUTCMinutes()]
    .concat(date.getUTCSeconds())
    .map((part) => pad(part, 2))
    .join('');
  return year < 2050
    ? der.text(der.tag.utcTime, `${pad(year % 100, 2)}${rest}Z`)
    : der.text(der.tag.generalizedTime, `${pad(year, 4)}${rest}Z`);
}

export function decodeTime(node: der.DerNode | undefined): Result<number, string> {
  const utc = der.isUniversal(node, der.tag.utcTime);
  if (!utc && !der.isUniversal(node, der.tag.generalizedTime))
    return err('time is neither UTCTime nor GeneralizedTime');
  const written = der.contentText(node);
  const match = (utc ? /^(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/ : /^(\d{4})(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)Z$/).exec(
    written,
  );
  const [shortYear = 0, month = 0, day = 0, hour = 0, minute = 0, second = 0] = match?.slice(1).map(Number) ?? [];
  // Two digits: 50 to 99 are of the 20th century.
  const year = utc ? shortYear + (shortYear >= 50 ? 1900 : 2000) : shortYear;
  const unixMs = Date.UTC(year, month - 1, day, hour, minute, second);
  const back = new Date(unixMs);
  if (match === null || back.getUTCMonth() !== month - 1 || back.getUTCDate() !== day || hour > 23 || minute > 59) {
    return err(`time "${written}" is malformed`);
  }
  return ok(unixMs);
}
