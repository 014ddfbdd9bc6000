import type { Found, KnownDifference } from './known-difference.ts';
import { knownOfPolicy } from './known-policy.ts';
import { knownOfProtocol } from './known-protocol.ts';
import { knownOfTranslation } from './known-translation.ts';

/** Those that generated traffic through generated tables meets. */
export const knownOfTraffic: readonly KnownDifference[] = [...knownOfPolicy, ...knownOfProtocol];

export const knownDifferences: readonly KnownDifference[] = [...knownOfTraffic, ...knownOfTranslation];

export const explanation = (found: Found): KnownDifference | undefined =>
  knownDifferences.find((known) => known.explains(found));
