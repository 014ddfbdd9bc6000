import { isNotFound, type KubeClient } from '../../client/client.ts';
import type { Pod } from '../../client/objects.ts';
import { paths } from '../../client/paths.ts';

interface TokenWish {
  readonly audience: string | undefined;
  readonly expirationSeconds: number;
}

type TokenResult =
  | { readonly ok: true; readonly token: string; readonly refreshInMs: number }
  | { readonly ok: false; readonly message: string };

interface TokenRequestAnswer {
  readonly status?: { readonly token?: string; readonly expirationTimestamp?: string };
}

interface Held {
  readonly token: string;
  readonly refreshAtMs: number;
}

/** Fetches ServiceAccount tokens bound to a pod and keeps them until four fifths of their life are over, as kubelet does. */
export class PodTokens {
  readonly #client: KubeClient;
  readonly #held = new Map<string, Held>();

  constructor(client: KubeClient) {
    this.#client = client;
  }

  async get(pod: Pod, wish: TokenWish): Promise<TokenResult> {
    const key = `${wish.audience ?? ''} ${wish.expirationSeconds}`;
    const held = this.#held.get(key);
    const now = Date.now();
    if (held !== undefined && now < held.refreshAtMs) {
      return { ok: true, token: held.token, refreshInMs: held.refreshAtMs - now };
    }
    const account = pod.spec.serviceAccountName ?? 'default';
    const answer = await this.#client.create<TokenRequestAnswer>(
      `${paths.core('serviceaccounts', pod.metadata.namespace, account)}/token`,
      {
        apiVersion: 'authentication.k8s.io/v1',
        kind: 'TokenRequest',
        spec: {
          ...(wish.audience === undefined ? {} : { audiences: [wish.audience] }),
          expirationSeconds: wish.expirationSeconds,
          boundObjectRef: { apiVersion: 'v1', kind: 'Pod', name: pod.metadata.name, uid: pod.metadata.uid },
        },
      },
    );
    if (!answer.ok) {
      const what = isNotFound(answer) ? `service account ${account} or its pod is not there` : answer.message;
      // An old token that still holds is better than none while the API is away.
      return held === undefined
        ? { ok: false, message: `token: ${what}` }
        : { ok: true, token: held.token, refreshInMs: 10_000 };
    }
    const token = answer.value.status?.token;
    if (token === undefined) return { ok: false, message: 'token: the answer holds none' };
    const expiresAtMs = Date.parse(answer.value.status?.expirationTimestamp ?? '');
    const lifeMs = Number.isNaN(expiresAtMs) ? wish.expirationSeconds * 1000 : expiresAtMs - now;
    const refreshInMs = Math.max(1_000, lifeMs * 0.8);
    this.#held.set(key, { token, refreshAtMs: now + refreshInMs });
    return { ok: true, token, refreshInMs };
  }
}
