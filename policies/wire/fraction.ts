import type { MessageInitShape } from '@bufbuild/protobuf';
import { always, type Fraction } from '../model/fraction.ts';
import type { At } from './decoding.ts';
import type { RuntimeFractionalPercent, RuntimeFractionalPercentSchema } from './gen/envoy/config/core/v3/base_pb.ts';
import {
  FractionalPercent_DenominatorType as Denominator,
  type FractionalPercent,
  type FractionalPercentSchema,
} from './gen/envoy/type/v3/percent_pb.ts';
import type { StructReader } from './values.ts';

const denominators = new Map<Denominator, Fraction['denominator']>([
  [Denominator.HUNDRED, 100],
  [Denominator.TEN_THOUSAND, 10_000],
  [Denominator.MILLION, 1_000_000],
]);
const kinds = {
  100: Denominator.HUNDRED,
  10000: Denominator.TEN_THOUSAND,
  1000000: Denominator.MILLION,
} as const;

const none: Fraction = { numerator: 0, denominator: 100 };

export const encodeFraction = ({
  numerator,
  denominator,
}: Fraction): MessageInitShape<typeof FractionalPercentSchema> => ({ numerator, denominator: kinds[denominator] });

/** Where Envoy's message says nothing the share is nothing. */
export function decodeFraction(message: FractionalPercent | undefined, at: At): Fraction {
  if (message === undefined) return none;
  const denominator = denominators.get(message.denominator);
  if (denominator === undefined) return at.field('denominator').fail('is not one of the three', none);
  return { numerator: message.numerator, denominator };
}

export const encodeRuntimeFraction = (fraction: Fraction): MessageInitShape<typeof RuntimeFractionalPercentSchema> => ({
  defaultValue: encodeFraction(fraction),
});

/** Absent: always. */
export const decodeRuntimeFraction = (message: RuntimeFractionalPercent | undefined, at: At): Fraction =>
  message === undefined ? always : decodeFraction(message.defaultValue, at.field('default_value'));

/** For our own settings. */
export const fractionSetting = ({ numerator, denominator }: Fraction): { numerator: number; denominator: number } => ({
  numerator,
  denominator,
});

export function readFraction(reader: StructReader): Fraction {
  const numerator = reader.number('numerator', 0, 4_294_967_295);
  const said = reader.number('denominator', 0, 1_000_000);
  const denominator = [...denominators.values()].find((one) => one === said);
  if (denominator === undefined) return reader.place('denominator').fail('has to be 100, 10000 or 1000000', none);
  return { numerator, denominator };
}
