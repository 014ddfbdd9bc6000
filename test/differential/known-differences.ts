import type { Found, KnownDifference } from './known-difference.ts';
import { knownOfPolicy } from './known-policy.ts';
import { knownOfProtocol } from './known-protocol.ts';
import { knownOfTranslation } from './known-translation.ts';

export const knownDifferences: readonly KnownDifference[] = [
  ...knownOfPolicy,
  ...knownOfProtocol,
  ...knownOfTranslation,
];

export const explanation = (found: Found): KnownDifference | undefined =>
  knownDifferences.find((known) => known.explains(found));
