/** Session persistence of a rule (GEP-1619), the same for HTTPRoute and GRPCRoute. */
import { z } from 'zod';
import { duration, headerName } from '../formats.ts';
import { withRules } from '../schema.ts';

export const sessionPersistence = withRules(
  z.strictObject({
    absoluteTimeout: duration().optional().describe('How long a session lasts at most.'),
    type: z.enum(['Cookie', 'Header']).default('Cookie').describe('What carries the session.'),
    cookie: z
      .strictObject({
        name: headerName().optional().describe('Name of the cookie.'),
        path: z.string().max(1024).default('/').describe('Path that the cookie is for.'),
        lifetimeType: z
          .enum(['Permanent', 'Session'])
          .default('Session')
          .describe('Whether the cookie outlives the browser session.'),
      })
      .optional()
      .describe('The cookie, with type Cookie.'),
    header: z
      .strictObject({ name: headerName().describe('Name of the header.') })
      .optional()
      .describe('The header, with type Header.'),
  }),
  [
    {
      cel: "!has(self.cookie) || !has(self.cookie.lifetimeType) || self.cookie.lifetimeType != 'Permanent' || has(self.absoluteTimeout)",
      message: 'a permanent cookie needs absoluteTimeout; set it',
      path: ['absoluteTimeout'],
      check: (value) => value.cookie?.lifetimeType !== 'Permanent' || value.absoluteTimeout !== undefined,
    },
    {
      cel: "!has(self.cookie) || self.type == 'Cookie'",
      message: 'cookie needs type Cookie; remove it or change the type',
      path: ['cookie'],
      check: (value) => value.cookie === undefined || value.type === 'Cookie',
    },
    {
      cel: "self.type != 'Cookie' || has(self.cookie)",
      message: 'type Cookie needs cookie; set it ({} takes its defaults)',
      path: ['cookie'],
      check: (value) => value.type !== 'Cookie' || value.cookie !== undefined,
    },
    {
      cel: "!has(self.header) || self.type == 'Header'",
      message: 'header needs type Header; remove it or change the type',
      path: ['header'],
      check: (value) => value.header === undefined || value.type === 'Header',
    },
    {
      cel: "self.type != 'Header' || has(self.header)",
      message: 'type Header needs header; set it',
      path: ['header'],
      check: (value) => value.type !== 'Header' || value.header !== undefined,
    },
  ],
);
