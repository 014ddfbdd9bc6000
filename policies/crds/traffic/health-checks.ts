/** `spec.healthChecks` of a TrafficPolicy: sidecars ask endpoints how they are. */
import { z } from 'zod';
import { healthCheckMethods } from '../../model/health-check.ts';
import { durationBetween, headerName, port, preciseHostname } from '../formats.ts';
import { integer, listOf, mapOf, text, withRules } from '../schema.ts';

const statusRange = withRules(
  z.strictObject({
    min: integer(100, 599).describe('The first status.'),
    max: integer(100, 599).describe('The last status.'),
  }),
  [
    {
      cel: 'self.min <= self.max',
      message: 'min must not be more than max',
      path: ['min'],
      check: (value) => value.min <= value.max,
    },
  ],
);

/** What a codec writes itself; the same pattern in CEL (RE2) and here. */
const ofTheCodec =
  '^(?i:host|content-length|transfer-encoding|connection|keep-alive|proxy-connection|upgrade|te|trailer|http2-settings)$';

const header = withRules(
  z.strictObject({
    name: headerName().describe('A name; Host has a field of its own.'),
    // RFC 9110 section 5.5, in US-ASCII.
    value: text(/^[\t\x20-\x7e]*$/, 'a header value without line ends', { max: 1_024 }).describe('What it is set to.'),
  }),
  [
    {
      cel: `!self.name.matches('${ofTheCodec}')`,
      message: 'is written by the proxy itself; remove it, or set host',
      path: ['name'],
      check: (value) => !new RegExp(ofTheCodec).test(value.name),
    },
  ],
);

const http = z.strictObject({
  // RFC 3986: no blank, no fragment.
  path: text(/^\/[\x21-\x22\x24-\x7e]*$/, 'a path such as `/healthz`', { max: 1_024 })
    .default('/')
    .describe('What is asked for, a query included.'),
  method: z.enum(healthCheckMethods).default('GET').describe('How it is asked for.'),
  host: preciseHostname().optional().describe('Host header; without it `<service>.<namespace>`.'),
  expectedStatuses: listOf(statusRange, { min: 1, max: 16 })
    .default([{ min: 200, max: 299 }])
    .describe('Answers of an endpoint that is well.'),
  headers: mapOf(header, 'name', { max: 16 }).optional().describe('Further headers of the request.'),
});

const grpc = z.strictObject({
  service: text(/^[A-Za-z0-9_./-]*$/, 'the name of a gRPC service such as `shop.Cart`', { max: 256 })
    .default('')
    .describe('What is asked about; empty is the server as a whole.'),
  authority: preciseHostname().optional().describe('Without it `<service>.<namespace>`.'),
});

const bytes = withRules(
  z.strictObject({
    text: z.string().min(1).max(1_024).optional().describe('As UTF-8.'),
    hex: text(/^([0-9A-Fa-f]{2})+$/, 'bytes in hexadecimal, such as `50494e47`', { min: 2, max: 2_048 })
      .optional()
      .describe('In hexadecimal.'),
  }),
  [
    {
      cel: 'has(self.text) != has(self.hex)',
      message: 'set exactly one of text and hex',
      check: (value) => (value.text === undefined) !== (value.hex === undefined),
    },
  ],
);

const tcp = z.strictObject({
  send: bytes.optional().describe('Bytes to send.'),
  receive: listOf(bytes, { min: 1, max: 16 })
    .optional()
    .describe(
      'Bytes that have to come, in this order; others may come between. Without them a connection is enough: through mesh TLS that is one to the sidecar of the endpoint.',
    ),
});

const probes = ['http', 'grpc', 'tcp'] as const;

export const healthChecks = withRules(
  z.strictObject({
    http: http.optional().describe('A request over HTTP.'),
    grpc: grpc.optional().describe('A call of grpc.health.v1.Health/Check.'),
    tcp: tcp.optional().describe('A connection, with or without a conversation.'),
    port: port().optional().describe('Without it the port that traffic goes to.'),
    interval: durationBetween('100ms', '1h').default('10s').describe('Between checks of an endpoint.'),
    jitter: durationBetween('0s', '1h').default('1s').describe('Up to so much is added to each interval, at random.'),
    timeout: durationBetween('10ms', '10m').default('1s').describe('A check that takes longer fails.'),
    noTrafficInterval: durationBetween('100ms', '24h')
      .default('1m')
      .describe('Between checks while the client sends nothing to the destination.'),
    unhealthyThreshold: integer(1, 1_000)
      .default(3)
      .describe(
        'So many checks in a row without an answer make an endpoint unhealthy. An answer that says no is enough alone.',
      ),
    healthyThreshold: integer(1, 1_000).default(2).describe('So many good answers in a row make it healthy again.'),
    initially: z
      .enum(['Healthy', 'Unhealthy'])
      .default('Healthy')
      .describe(
        'What endpoints count as before their first check. Healthy: they take traffic, as without checks. Unhealthy: they take none, and the first requests of a client wait for the first checks.',
      ),
  }),
  [
    {
      cel: '(has(self.http) ? 1 : 0) + (has(self.grpc) ? 1 : 0) + (has(self.tcp) ? 1 : 0) == 1',
      message: 'set exactly one of http, grpc and tcp ({} takes its defaults)',
      check: (value) => probes.filter((probe) => value[probe] !== undefined).length === 1,
    },
  ],
);
