/** `spec.timeouts` of a TrafficPolicy: how long things may take. */
import { z } from 'zod';
import { acceptedDurationMs } from '../duration.ts';
import { duration, durationBetween } from '../formats.ts';
import { withRules } from '../schema.ts';

export const noLongerThan = (shorter: string | undefined, longer: string | undefined): boolean =>
  shorter === undefined ||
  longer === undefined ||
  // Zero turns a timeout off (GEP-1742).
  acceptedDurationMs(longer) === 0 ||
  acceptedDurationMs(shorter) <= acceptedDurationMs(longer);

export const timeouts = withRules(
  z.strictObject({
    request: duration().optional().describe('From the request to the end of its answer, retries included; 0s is none.'),
    backendRequest: duration().optional().describe('For one try; 0s is none.'),
    idle: duration().optional().describe('How long a connection without requests is kept; 0s is for ever.'),
    stream: duration()
      .optional()
      .describe('From the request to the end of its stream, tunnels such as WebSocket included; 0s is none.'),
    streamIdle: durationBetween('1ms', '24h')
      .optional()
      .describe('How long nothing may be sent in either direction of a request under way. Without it 5 minutes.'),
    connect: durationBetween('1ms', '10m').optional().describe('For a connection, the TLS handshake included.'),
  }),
  [
    {
      cel: "!has(self.request) || !has(self.backendRequest) || duration(self.request) == duration('0s') || duration(self.backendRequest) <= duration(self.request)",
      message: 'backendRequest must not be longer than request',
      path: ['backendRequest'],
      check: (value) => noLongerThan(value.backendRequest, value.request),
    },
    {
      cel: 'has(self.request) || has(self.backendRequest) || has(self.idle) || has(self.stream) || has(self.streamIdle) || has(self.connect)',
      message: 'sets nothing; set request, backendRequest, idle, stream, streamIdle or connect, or remove it',
      check: (value) => Object.values(value).some((one) => one !== undefined),
    },
  ],
);
