/** Tokens from a file, for runs without a Kubernetes API that could review them. */
import { createHash } from 'node:crypto';
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Secret } from '@weft/policies/kit/secret';
import { parse } from 'yaml';
import { z } from 'zod';
import { type AuthFailure, TOKEN_AUDIENCE, type TokenIdentity, type TokenVerifier } from '../auth/caller.ts';

const tokensFile = z.strictObject({
  tokens: z
    .array(
      z.strictObject({
        token: z.string().min(1),
        namespace: z.string().min(1),
        serviceAccount: z.string().min(1),
        pod: z.string().optional(),
        uid: z.string().default(''),
        audience: z.string().default(TOKEN_AUDIENCE),
        expires: z.iso.datetime().optional(),
      }),
    )
    .max(10_000),
});

type TokenRow = z.output<typeof tokensFile>['tokens'][number];

const digest = (token: string): string => createHash('sha256').update(token).digest('base64');

export class StaticTokenVerifier implements TokenVerifier {
  private readonly rows: ReadonlyMap<string, TokenRow>;
  private readonly clock: Clock;

  private constructor(rows: readonly TokenRow[], clock: Clock) {
    this.rows = new Map(rows.map((row) => [digest(row.token), row]));
    this.clock = clock;
  }

  static parse(text: string, clock: Clock): Result<StaticTokenVerifier, string> {
    let raw: unknown;
    try {
      raw = parse(text);
    } catch (error) {
      return err(error instanceof Error ? error.message : 'not YAML');
    }
    const parsed = tokensFile.safeParse(raw ?? { tokens: [] });
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      return err(`${issue?.path.join('.') ?? ''}: ${issue?.message ?? 'malformed'}`);
    }
    return ok(new StaticTokenVerifier(parsed.data.tokens, clock));
  }

  async verify(token: Secret<string>): Promise<Result<TokenIdentity, AuthFailure>> {
    const row = this.rows.get(digest(token.reveal()));
    const refuse = (reason: string) => err({ code: 'unauthenticated', message: `token refused: ${reason}` } as const);
    if (row === undefined) return refuse('it is not known');
    if (row.audience !== TOKEN_AUDIENCE) return refuse(`its audience is ${row.audience}, not ${TOKEN_AUDIENCE}`);
    const expiresUnixMs = row.expires === undefined ? undefined : Date.parse(row.expires);
    if (expiresUnixMs !== undefined && expiresUnixMs <= this.clock.unixMs())
      return refuse(`it expired at ${row.expires}`);
    return ok({
      namespace: row.namespace,
      serviceAccount: row.serviceAccount,
      pod: row.pod === undefined ? undefined : { name: row.pod, uid: row.uid },
      expiresUnixMs,
    });
  }
}
