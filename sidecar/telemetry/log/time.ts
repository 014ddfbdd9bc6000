const pad = (value: number, digits: number): string => String(value).padStart(digits, '0');

const MONTHS = [
  'January',
  'February',
  'March',
  'April',
  'May',
  'June',
  'July',
  'August',
  'September',
  'October',
  'November',
  'December',
];
const DAYS = ['Sunday', 'Monday', 'Tuesday', 'Wednesday', 'Thursday', 'Friday', 'Saturday'];
const MINUTE_MS = 60_000;

/** A time as a clock on the wall shows it: the fields that a date has in UTC are those of the zone. */
interface Shown {
  readonly date: Date;
  /** East of Greenwich. */
  readonly offsetMinutes: number;
}

type TimePart = string | ((shown: Shown) => string);

const inUtc = (unixMs: number): Shown => ({ date: new Date(unixMs), offsetMinutes: 0 });

function inZone(unixMs: number): Shown {
  const offsetMinutes = -new Date(unixMs).getTimezoneOffset();
  return { date: new Date(unixMs + offsetMinutes * MINUTE_MS), offsetMinutes };
}

/** ISO 8601: `+0100`. */
function offset({ offsetMinutes }: Shown): string {
  const minutes = Math.abs(offsetMinutes);
  return `${offsetMinutes < 0 ? '-' : '+'}${pad(Math.floor(minutes / 60), 2)}${pad(minutes % 60, 2)}`;
}

function zoneName({ date, offsetMinutes }: Shown): string {
  if (offsetMinutes === 0) return 'UTC';
  const parts = new Intl.DateTimeFormat('en-US', { timeZoneName: 'short' }).formatToParts(date);
  return parts.find(({ type }) => type === 'timeZoneName')?.value ?? '';
}

const dayOfYear = (date: Date): number =>
  Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1;
const hour12 = (date: Date): number => date.getUTCHours() % 12 || 12;
const half = (date: Date): string => (date.getUTCHours() < 12 ? 'AM' : 'PM');
const clockTime = (date: Date): string =>
  `${pad(date.getUTCHours(), 2)}:${pad(date.getUTCMinutes(), 2)}:${pad(date.getUTCSeconds(), 2)}`;
const isoDate = (date: Date): string =>
  `${date.getUTCFullYear()}-${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)}`;
/** Our clock knows milliseconds; more digits are zeros. */
const fraction = (date: Date, digits: number): string =>
  pad(date.getUTCMilliseconds(), 3).padEnd(digits, '0').slice(0, digits);
const secondsWith =
  (digits: number) =>
  ({ date }: Shown): string =>
    `${pad(date.getUTCSeconds(), 2)}.${fraction(date, digits)}`;

/** strftime's specifiers, and Envoy's for fractions. What is allowed is checked where the format is parsed. */
const specifiers: Readonly<Record<string, (shown: Shown) => string>> = {
  Y: ({ date }) => String(date.getUTCFullYear()),
  E4Y: ({ date }) => pad(date.getUTCFullYear(), 4),
  y: ({ date }) => pad(date.getUTCFullYear() % 100, 2),
  m: ({ date }) => pad(date.getUTCMonth() + 1, 2),
  d: ({ date }) => pad(date.getUTCDate(), 2),
  e: ({ date }) => String(date.getUTCDate()).padStart(2, ' '),
  H: ({ date }) => pad(date.getUTCHours(), 2),
  I: ({ date }) => pad(hour12(date), 2),
  p: ({ date }) => half(date),
  M: ({ date }) => pad(date.getUTCMinutes(), 2),
  S: ({ date }) => pad(date.getUTCSeconds(), 2),
  s: ({ date, offsetMinutes }) => String(Math.floor((date.getTime() - offsetMinutes * MINUTE_MS) / 1_000)),
  f: ({ date }) => fraction(date, 9),
  E3S: secondsWith(3),
  E6S: secondsWith(6),
  E9S: secondsWith(9),
  z: offset,
  Z: zoneName,
  T: ({ date }) => clockTime(date),
  R: ({ date }) => clockTime(date).slice(0, 5),
  F: ({ date }) => isoDate(date),
  D: ({ date }) =>
    `${pad(date.getUTCMonth() + 1, 2)}/${pad(date.getUTCDate(), 2)}/${pad(date.getUTCFullYear() % 100, 2)}`,
  b: ({ date }) => (MONTHS[date.getUTCMonth()] ?? '').slice(0, 3),
  h: ({ date }) => (MONTHS[date.getUTCMonth()] ?? '').slice(0, 3),
  B: ({ date }) => MONTHS[date.getUTCMonth()] ?? '',
  a: ({ date }) => (DAYS[date.getUTCDay()] ?? '').slice(0, 3),
  A: ({ date }) => DAYS[date.getUTCDay()] ?? '',
  u: ({ date }) => String(date.getUTCDay() || 7),
  w: ({ date }) => String(date.getUTCDay()),
  j: ({ date }) => pad(dayOfYear(date), 3),
  '%': () => '%',
};

const LOCAL_DEFAULT = '%Y-%m-%dT%H:%M:%E3S%z';

/**
 * A format of times, compiled; empty: ISO 8601 with milliseconds. The text of the last millisecond is kept.
 * `local`: in the zone of the process, else in UTC.
 */
export function timeFormatter(format: string, local = false): (unixMs: number) => string {
  const write = format === '' && !local ? inIso : compile(format === '' ? LOCAL_DEFAULT : format, local);
  let lastMs = -1;
  let last = '';
  return (unixMs) => {
    if (unixMs !== lastMs) {
      last = write(unixMs);
      lastMs = unixMs;
    }
    return last;
  };
}

const inIso = (unixMs: number): string => new Date(unixMs).toISOString();

function compile(format: string, local: boolean): (unixMs: number) => string {
  const parts: TimePart[] = [];
  let end = 0;
  for (const match of format.matchAll(/%(E[369]S|E4Y|([1-9])f|.)/g)) {
    if (match.index > end) parts.push(format.slice(end, match.index));
    const digits = Number(match[2] ?? 0);
    parts.push(digits > 0 ? ({ date }) => fraction(date, digits) : (specifiers[match[1] ?? ''] ?? match[0]));
    end = match.index + match[0].length;
  }
  parts.push(format.slice(end));
  const show = local ? inZone : inUtc;
  return (unixMs) => {
    const shown = show(unixMs);
    let text = '';
    for (const part of parts) text += typeof part === 'string' ? part : part(shown);
    return text;
  };
}
