/** `requestLimits` of an `OverloadPolicy`: what a request may be, and how long it may take to come. */
import { z } from 'zod';
import { durationBetween } from '../formats.ts';
import { integer, withRules } from '../schema.ts';

const kibMax = 8_192;
const lineBytesMax = kibMax * 1_024;
const bodyBytesMax = 1_099_511_627_776;

const names = [
  'maxHeadKiB',
  'maxHeaders',
  'maxRequestLineBytes',
  'maxHeaderLineBytes',
  'maxBodyBytes',
  'headTimeout',
  'requestTimeout',
  'streamIdleTimeout',
  'idleTimeout',
] as const;

const timeout = () => durationBetween('1ms', '24h').optional();

export const requestLimits = withRules(
  z.strictObject({
    maxHeadKiB: integer(1, kibMax)
      .optional()
      .describe(
        'The request line and all headers together, in KiB; more is answered 431, a request line that alone is more 414. Without it 60.',
      ),
    maxHeaders: integer(1, 10_000).optional().describe('Headers of a request; more are answered 431. Without it 100.'),
    maxRequestLineBytes: integer(1, lineBytesMax)
      .optional()
      .describe(
        'The request line, as HTTP/1 writes it; a longer one is answered 414. Without it what the head may have.',
      ),
    maxHeaderLineBytes: integer(1, lineBytesMax)
      .optional()
      .describe(
        'Each header with its name, as HTTP/1 writes it; a longer one is answered 431. Without it what the head may have.',
      ),
    maxBodyBytes: integer(1, bodyBytesMax)
      .optional()
      .describe('The content of a request; more is answered 413. Without it there is no end.'),
    headTimeout: timeout().describe(
      'From the first byte of a request until its headers are there; later is answered 408. Without it 60s.',
    ),
    requestTimeout: timeout().describe(
      'From the first byte of a request until its content is there; later is answered 408. Without it there is none.',
    ),
    streamIdleTimeout: timeout().describe(
      'How long nothing may be sent in either direction of a request under way, tunnels such as WebSocket included. Without it 5 minutes.',
    ),
    idleTimeout: timeout().describe('How long a connection without requests is kept. Without it an hour.'),
  }),
  [
    {
      cel: names.map((name) => `has(self.${name})`).join(' || '),
      message: `sets nothing; set one of ${names.join(', ')}, or remove it`,
      check: (value) => names.some((name) => value[name] !== undefined),
    },
    ...(['maxRequestLineBytes', 'maxHeaderLineBytes'] as const).map((name) => ({
      cel: `!has(self.${name}) || self.${name} <= 1024 * (has(self.maxHeadKiB) ? self.maxHeadKiB : 60)`,
      message: `${name} must not be more than maxHeadKiB allows, which is 60 KiB where it is not set`,
      path: [name],
      check: (value: { readonly [Name in typeof name | 'maxHeadKiB']?: number | undefined }) =>
        (value[name] ?? 0) <= 1_024 * (value.maxHeadKiB ?? 60),
    })),
  ],
);
