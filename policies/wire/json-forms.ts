import { type DescEnum, type DescField, type JsonValue, ScalarType } from '@bufbuild/protobuf';

/** https://protobuf.dev/programming-guides/json/: the library reads up to the "s" alone, and takes "1s500ms" for one second. */
const DURATION = /^-?\d+(?:\.\d{1,9})?s$/;
/** What google.protobuf.Duration bounds itself to, some 10,000 years. */
const DURATION_SECONDS_MAX = 315_576_000_000;
const WRAPPED_NUMBER = /^google\.protobuf\.(?:U?Int(?:32|64)|Double|Float)Value$/;
/** As in JSON itself; the library takes "0x1" as well. */
const NUMBER = /^-?(?:0|[1-9]\d*)(?:\.\d+)?(?:[eE][+-]?\d+)?$/;
const NO_NUMBERS: ReadonlySet<string> = new Set(['NaN', 'Infinity', '-Infinity']);
const SHOWN_MAX = 40;
/** More help nobody. */
const NAMES_MAX = 12;

/** What is wrong with how a field's value, or one in its list or map, is written; undefined where the library is to judge. */
export function formFailure(field: DescField, value: JsonValue): string | undefined {
  for (const one of valuesOf(field, value)) {
    const failure = oneFailure(field, one);
    if (failure !== undefined) return failure;
  }
  return undefined;
}

function valuesOf({ fieldKind }: DescField, value: JsonValue): readonly JsonValue[] {
  if (fieldKind === 'list') return Array.isArray(value) ? value : [];
  if (fieldKind !== 'map') return [value];
  return typeof value === 'object' && value !== null ? Object.values(value) : [];
}

function oneFailure({ message, enum: values, scalar }: DescField, value: JsonValue): string | undefined {
  if (value === null) return undefined;
  if (message?.typeName === 'google.protobuf.Duration') {
    const isOne = typeof value === 'string' && DURATION.test(value);
    if (isOne && Math.abs(Number.parseFloat(value)) <= DURATION_SECONDS_MAX) return undefined;
    return `has to be a duration in seconds, such as "1.5s", not ${shown(value)}`;
  }
  if (values !== undefined) return enumFailure(values, value);
  if (typeof value !== 'string' || !isNumber({ message, scalar }) || NUMBER.test(value)) return undefined;
  const canBeNone = scalar === ScalarType.DOUBLE || scalar === ScalarType.FLOAT || message !== undefined;
  return canBeNone && NO_NUMBERS.has(value) ? undefined : `has to be a number, not ${shown(value)}`;
}

function isNumber({ message, scalar }: Pick<DescField, 'message' | 'scalar'>): boolean {
  if (message !== undefined) return WRAPPED_NUMBER.test(message.typeName);
  return scalar !== ScalarType.STRING && scalar !== ScalarType.BYTES && scalar !== ScalarType.BOOL;
}

function enumFailure({ typeName, values }: DescEnum, value: JsonValue): string | undefined {
  if (typeName === 'google.protobuf.NullValue' || Number.isInteger(value)) return undefined;
  if (values.some(({ name }) => name === value)) return undefined;
  const names = values.slice(0, NAMES_MAX).map(({ name }) => name);
  if (values.length > NAMES_MAX) names.push('...');
  return `has to be one of ${names.join(', ')}, not ${shown(value)}`;
}

/** As much as tells what is meant: what stands in a wrong place may be long, or a key. */
function shown(value: JsonValue): string {
  if (typeof value === 'object') return Array.isArray(value) ? 'a list' : 'an object';
  if (typeof value !== 'string') return String(value);
  return value.length > SHOWN_MAX ? 'a longer text' : JSON.stringify(value);
}
