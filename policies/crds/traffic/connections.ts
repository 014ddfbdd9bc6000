/** `spec.connections` of a TrafficPolicy: what is spoken to a destination, and how connections to it are kept. */
import { z } from 'zod';
import { durationBetween } from '../formats.ts';
import { integer, withRules } from '../schema.ts';

const tcpKeepAlive = z.strictObject({
  idle: durationBetween('1s', '9h').default('2h').describe('Silence before the first probe, in whole seconds.'),
  interval: durationBetween('1s', '9h').default('75s').describe('Between probes, in whole seconds.'),
  probes: integer(1, 127).default(9).describe('Probes without an answer before the connection is given up.'),
});

const http2KeepAlive = z.strictObject({
  interval: durationBetween('100ms', '24h').default('30s').describe('Between pings.'),
  timeout: durationBetween('10ms', '1h')
    .default('10s')
    .describe('A connection that leaves a ping unanswered for so long is closed.'),
});

export const connections = withRules(
  z.strictObject({
    upstreamProtocol: z
      .enum(['Auto', 'HTTP1', 'HTTP2'])
      .optional()
      .describe(
        'What the application is spoken to. Auto, as without it: as its port declares, else as the client spoke. Between sidecars HTTP/2 is spoken in any case.',
      ),
    maxRequestsPerConnection: integer(1, 2_147_483_647)
      .optional()
      .describe('A connection is closed after so many requests.'),
    maxConnectionDuration: durationBetween('1s', '24h')
      .optional()
      .describe('A connection takes no more requests when it is so old, up to a tenth less.'),
    maxConcurrentStreams: integer(1, 2_147_483_647)
      .optional()
      .describe('Requests that share a connection of HTTP/2 at one time; the endpoint may allow fewer.'),
    http2KeepAlive: http2KeepAlive.optional().describe('Pings on connections of HTTP/2.'),
    tcpKeepAlive: tcpKeepAlive.optional().describe('Probes of the kernel on silent connections.'),
  }),
  [
    {
      cel: 'has(self.upstreamProtocol) || has(self.maxRequestsPerConnection) || has(self.maxConnectionDuration) || has(self.maxConcurrentStreams) || has(self.http2KeepAlive) || has(self.tcpKeepAlive)',
      message: 'sets nothing; set one of its fields, or remove it',
      check: (value) => Object.values(value).some((one) => one !== undefined),
    },
    {
      cel: "!has(self.upstreamProtocol) || self.upstreamProtocol != 'HTTP1' || (!has(self.maxConcurrentStreams) && !has(self.http2KeepAlive))",
      message: 'maxConcurrentStreams and http2KeepAlive are of HTTP/2; remove them, or set another upstreamProtocol',
      path: ['upstreamProtocol'],
      check: (value) =>
        value.upstreamProtocol !== 'HTTP1' ||
        (value.maxConcurrentStreams === undefined && value.http2KeepAlive === undefined),
    },
  ],
);
