/** Samples of our own kinds. */
import type { Sample } from './corpus.testing.ts';
import { authenticationSamples } from './corpus-authentication.testing.ts';
import { authorizationSamples } from './corpus-authorization.testing.ts';
import { balancerSamples } from './corpus-balancer.testing.ts';
import { externalSamples } from './corpus-external.testing.ts';
import { faultSamples } from './corpus-fault.testing.ts';
import { healthSamples } from './corpus-health.testing.ts';
import { meshSamples } from './corpus-mesh.testing.ts';
import { overloadSamples } from './corpus-overload.testing.ts';
import { retrySamples } from './corpus-retries.testing.ts';
import { targetSamples } from './corpus-targets.testing.ts';
import { trafficSamples } from './corpus-traffic.testing.ts';

export const weftSamples: readonly Sample[] = [
  ...meshSamples,
  ...targetSamples('TrafficPolicy', { retries: {} }),
  ...targetSamples('FaultPolicy', { reset: {} }),
  ...trafficSamples,
  ...balancerSamples,
  ...healthSamples,
  ...retrySamples,
  ...authorizationSamples,
  ...authenticationSamples,
  ...overloadSamples,
  ...faultSamples,
  ...externalSamples,
];
