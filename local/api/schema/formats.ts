import { isIP } from 'node:net';

/** Checks of `format:`; what is wrong, or undefined. Unknown formats are ignored, as apiextensions does. */
export function formatProblem(format: string, value: string): string | undefined {
  const check = checks[format];
  return check === undefined || check(value) ? undefined : JSON.stringify(value);
}

const uuid = /^[0-9a-f]{8}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{4}-?[0-9a-f]{12}$/i;
const base64 = /^([A-Za-z0-9+/]{4})*([A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/;
const goDuration = /^[+-]?(\d+(\.\d*)?(ns|us|µs|ms|s|m|h))+$|^0$/;
const quantity = /^[+-]?(\d+|\d+\.\d*|\.\d+)(([KMGTPE]i)|[numkMGTPE]|[eE][+-]?\d+)?$/;

export const isQuantity = (text: string): boolean => quantity.test(text);

const checks: Readonly<Record<string, ((value: string) => boolean) | undefined>> = {
  'date-time': (value) => /^\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d/.test(value) && !Number.isNaN(Date.parse(value)),
  date: (value) => /^\d{4}-\d\d-\d\d$/.test(value) && !Number.isNaN(Date.parse(value)),
  duration: (value) => goDuration.test(value),
  byte: (value) => base64.test(value.replace(/[\r\n]/g, '')),
  ipv4: (value) => isIP(value) === 4,
  ipv6: (value) => isIP(value) === 6,
  cidr: (value) => {
    const [ip = '', bits = ''] = value.split('/');
    return isIP(ip) !== 0 && /^\d+$/.test(bits) && Number(bits) <= (isIP(ip) === 4 ? 32 : 128);
  },
  uuid: (value) => uuid.test(value),
  uri: (value) => URL.canParse(value) || value.startsWith('/'),
  email: (value) => /^[^\s@]+@[^\s@]+$/.test(value),
  hostname: (value) => value.length <= 253 && /^[A-Za-z0-9]([-A-Za-z0-9.]*[A-Za-z0-9])?$/.test(value),
  quantity: isQuantity,
};
