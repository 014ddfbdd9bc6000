/** `spec.loadBalancer` of a TrafficPolicy: how an endpoint is picked. */
import { z } from 'zod';

export const loadBalancer = z.strictObject({
  type: z
    .enum(['LeastRequest', 'RoundRobin', 'Random'])
    .default('LeastRequest')
    .describe('LeastRequest takes the less busy of two endpoints drawn at random.'),
});
