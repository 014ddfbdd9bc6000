const pad = (value: number, digits: number): string => String(value).padStart(digits, '0');

const MONTHS = ['Jan', 'Feb', 'Mar', 'Apr', 'May', 'Jun', 'Jul', 'Aug', 'Sep', 'Oct', 'Nov', 'Dec'];
const DAYS = ['Sun', 'Mon', 'Tue', 'Wed', 'Thu', 'Fri', 'Sat'];

type TimePart = string | ((date: Date) => string);

const dayOfYear = (date: Date): number =>
  Math.floor((date.getTime() - Date.UTC(date.getUTCFullYear(), 0, 1)) / 86_400_000) + 1;
const clockTime = (date: Date): string =>
  `${pad(date.getUTCHours(), 2)}:${pad(date.getUTCMinutes(), 2)}:${pad(date.getUTCSeconds(), 2)}`;
const isoDate = (date: Date): string =>
  `${date.getUTCFullYear()}-${pad(date.getUTCMonth() + 1, 2)}-${pad(date.getUTCDate(), 2)}`;
/** Our clock knows milliseconds; more digits are zeros. */
const fraction = (date: Date, digits: number): string => pad(date.getUTCMilliseconds(), 3).padEnd(digits, '0');

/** strftime's specifiers, in UTC, and Envoy's for fractions. What is allowed is checked where the format is parsed. */
const specifiers: Readonly<Record<string, (date: Date) => string>> = {
  Y: (date) => String(date.getUTCFullYear()),
  y: (date) => pad(date.getUTCFullYear() % 100, 2),
  m: (date) => pad(date.getUTCMonth() + 1, 2),
  d: (date) => pad(date.getUTCDate(), 2),
  e: (date) => String(date.getUTCDate()).padStart(2, ' '),
  H: (date) => pad(date.getUTCHours(), 2),
  M: (date) => pad(date.getUTCMinutes(), 2),
  S: (date) => pad(date.getUTCSeconds(), 2),
  s: (date) => String(Math.floor(date.getTime() / 1_000)),
  f: (date) => fraction(date, 9),
  '3f': (date) => fraction(date, 3),
  '6f': (date) => fraction(date, 6),
  '9f': (date) => fraction(date, 9),
  E3S: (date) => `${pad(date.getUTCSeconds(), 2)}.${fraction(date, 3)}`,
  E6S: (date) => `${pad(date.getUTCSeconds(), 2)}.${fraction(date, 6)}`,
  E9S: (date) => `${pad(date.getUTCSeconds(), 2)}.${fraction(date, 9)}`,
  z: () => '+0000',
  Z: () => 'UTC',
  T: clockTime,
  F: isoDate,
  D: (date) => `${pad(date.getUTCMonth() + 1, 2)}/${pad(date.getUTCDate(), 2)}/${pad(date.getUTCFullYear() % 100, 2)}`,
  b: (date) => MONTHS[date.getUTCMonth()] ?? '',
  a: (date) => DAYS[date.getUTCDay()] ?? '',
  j: (date) => pad(dayOfYear(date), 3),
  '%': () => '%',
};

/** START_TIME's format, compiled; empty: ISO 8601 with milliseconds. The text of the last millisecond is kept. */
export function timeFormatter(format: string): (unixMs: number) => string {
  const write = format === '' ? (date: Date) => date.toISOString() : compile(format);
  let lastMs = -1;
  let last = '';
  return (unixMs) => {
    if (unixMs !== lastMs) {
      last = write(new Date(unixMs));
      lastMs = unixMs;
    }
    return last;
  };
}

function compile(format: string): (date: Date) => string {
  const parts: TimePart[] = [];
  let end = 0;
  for (const match of format.matchAll(/%(E[369]S|[369]f|.)/g)) {
    if (match.index > end) parts.push(format.slice(end, match.index));
    parts.push(specifiers[match[1] ?? ''] ?? match[0]);
    end = match.index + match[0].length;
  }
  parts.push(format.slice(end));
  return (date) => {
    let text = '';
    for (const part of parts) text += typeof part === 'string' ? part : part(date);
    return text;
  };
}
