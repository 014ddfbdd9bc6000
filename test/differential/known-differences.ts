import type { Found, KnownDifference } from './known-difference.ts';
import { knownOfPolicy } from './known-policy.ts';
import { knownOfProtocol } from './known-protocol.ts';

export const knownDifferences: readonly KnownDifference[] = [...knownOfPolicy, ...knownOfProtocol];

export const explanation = (found: Found): KnownDifference | undefined =>
  knownDifferences.find((known) => known.explains(found));
