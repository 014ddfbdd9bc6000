/** `hashKeys`: what of a request decides which endpoint gets it. */
import { z } from 'zod';
import { durationBetween, headerName, requestHeaderName } from '../formats.ts';
import { listOf, text, withRules } from '../schema.ts';

/** RFC 6265 section 4.1.1: a cookie's name is a token, and its path has neither control characters nor semicolons. */
const cookieName = headerName;
const cookiePath = () => text(/^\/[!-:<-~]*$/, 'a path such as `/shop`', { min: 1, max: 1_024 });

const cookie = withRules(
  z.strictObject({
    name: cookieName().describe('Name of the cookie.'),
    ttl: durationBetween('0s', '8760h')
      .optional()
      .describe(
        'Clients without the cookie get one for so long; 0s is until they end their session. Without it none is made.',
      ),
    path: cookiePath().optional().describe('Path of the cookie that is made.'),
  }),
  [
    {
      cel: '!has(self.path) || has(self.ttl)',
      message: 'is for a cookie that is made; set ttl too',
      path: ['path'],
      check: (value) => value.path === undefined || value.ttl !== undefined,
    },
  ],
);

const hashKey = withRules(
  z.strictObject({
    header: requestHeaderName().optional().describe('Values of this request header.'),
    cookie: cookie.optional().describe('Value of a cookie.'),
    queryParameter: z
      .string()
      .min(1)
      .max(256)
      .optional()
      .describe('First value of this query parameter, as it stands in the path.'),
    source: z
      .enum(['IP'])
      .optional()
      .describe('IP: address of the client, the only key that a connection without HTTP has.'),
    terminal: z.boolean().default(false).describe('Where this one gives a value, those after it do not count.'),
  }),
  [
    {
      cel: '[has(self.header), has(self.cookie), has(self.queryParameter), has(self.source)].filter(one, one).size() == 1',
      message: 'must set exactly one of header, cookie, queryParameter and source',
      check: ({ header, cookie: one, queryParameter, source }) =>
        [header, one, queryParameter, source].filter((value) => value !== undefined).length === 1,
    },
  ],
);

export const hashKeys = listOf(hashKey, { min: 1, max: 8 });
