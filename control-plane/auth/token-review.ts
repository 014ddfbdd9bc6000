/** Tokens judged by the API server that issued them (TokenReview, authentication.k8s.io/v1). */
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Secret } from '@weft/policies/kit/secret';
import { z } from 'zod';
import type { KubeClient } from '../kube/client.ts';
import { type AuthFailure, TOKEN_AUDIENCE, type TokenIdentity, type TokenVerifier } from './caller.ts';
import { claimedExpiryMs, describeRefusedToken } from './describe-token.ts';

const review = z.looseObject({
  status: z.looseObject({
    authenticated: z.boolean().nullish(),
    error: z.string().nullish(),
    audiences: z.array(z.string()).nullish(),
    user: z
      .looseObject({ username: z.string().nullish(), extra: z.record(z.string(), z.array(z.string())).nullish() })
      .nullish(),
  }),
});

const podNameExtra = 'authentication.kubernetes.io/pod-name';
const podUidExtra = 'authentication.kubernetes.io/pod-uid';

export class TokenReviewVerifier implements TokenVerifier {
  private readonly client: KubeClient;
  private readonly clock: Clock;
  private readonly audience: string;

  constructor(client: KubeClient, clock: Clock, audience: string = TOKEN_AUDIENCE) {
    this.audience = audience;
    this.client = client;
    this.clock = clock;
  }

  async verify(token: Secret<string>): Promise<Result<TokenIdentity, AuthFailure>> {
    const text = token.reveal();
    const answer = await this.client.create('/apis/authentication.k8s.io/v1/tokenreviews', {
      apiVersion: 'authentication.k8s.io/v1',
      kind: 'TokenReview',
      spec: { token: text, audiences: [this.audience] },
    });
    if (!answer.ok)
      return err({ code: 'unavailable', message: `the token could not be reviewed: ${answer.error.message}` });
    const parsed = review.safeParse(answer.value);
    if (!parsed.success) return err({ code: 'unavailable', message: 'the answer to the TokenReview is malformed' });
    const { authenticated, error, audiences, user } = parsed.data.status;
    if (authenticated !== true || !(audiences ?? []).includes(this.audience)) {
      const reason =
        describeRefusedToken(text, this.audience, this.clock.unixMs()) ?? error ?? 'the API server does not know it';
      return err({ code: 'unauthenticated', message: `token refused: ${reason}` });
    }
    const [, namespace, serviceAccount] = /^system:serviceaccount:([^:]+):([^:]+)$/.exec(user?.username ?? '') ?? [];
    if (namespace === undefined || serviceAccount === undefined) {
      return err({
        code: 'unauthenticated',
        message: `token refused: ${user?.username ?? 'its user'} is no service account`,
      });
    }
    const [podName] = user?.extra?.[podNameExtra] ?? [];
    const [podUid] = user?.extra?.[podUidExtra] ?? [];
    // Without its UID a token would go with whichever pod has the name next.
    const bound = podName !== undefined && podName !== '' && podUid !== undefined && podUid !== '';
    return ok({
      namespace,
      serviceAccount,
      pod: bound ? { name: podName, uid: podUid } : undefined,
      expiresUnixMs: claimedExpiryMs(text),
    });
  }
}
