import { hash } from 'node:crypto';
import type { Clock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { JWT_FILTER, type JwtAuthentication, type JwtLocation, type JwtProvider } from '@weft/policies/model/jwt';
import { fieldSubject } from '@weft/policies/model/reserved-headers';
import { noMutation } from '@weft/policies/model/route';
import type { Headers } from '../../http/headers.ts';
import type { Recorder } from '../../telemetry/record.ts';
import type { RequestContext } from '../context.ts';
import { HELD, type HeldRequest, type LocalReply, type RequestFilter, type Verdict } from '../filter.ts';
import { claimAt, claimText } from './claims.ts';
import { type FoundToken, findTokens, removeTokens, TOKENS_MAX, withoutParameter } from './tokens.ts';
import { loadJose, type TokenError, TokenVerifier, type Verified } from './verifier.ts';

export interface JwtDeps {
  readonly clock: Clock;
  readonly recorder: Recorder;
}

/** A token is a header of a request; what is larger than this is refused before it is looked at. */
const TOKEN_CHARS_MAX = 16_384;
const CACHE_MAX = 1_024;
/** Verifications under way; more are refused. */
const PENDING_MAX = 1_024;

interface Place {
  readonly location: JwtLocation;
  readonly verifiers: readonly TokenVerifier[];
}

/** A token that has been verified, and by whose rules. */
interface Accepted extends Verified {
  readonly provider: JwtProvider;
}

export function createJwtFilter(jwt: JwtAuthentication, deps: JwtDeps): JwtFilter {
  // Before the first token comes; whoever is too early waits for it.
  loadJose().catch(() => deps.recorder.count('jwt.not_loaded'));
  return new JwtFilter(jwt, deps);
}

/** Finds out who the end user is (RFC 6750): all tokens of a request have to hold, and it may have none. */
export class JwtFilter implements RequestFilter {
  private readonly jwt: JwtAuthentication;
  private readonly deps: JwtDeps;
  private readonly places: readonly Place[];
  private readonly locations: readonly JwtLocation[];
  /** Which nobody but this filter may set. */
  private readonly claimHeaders: readonly string[];
  /** CGI, WSGI and their like take `X_User` for `X-User` (RFC 3875 section 4.1.18). */
  private readonly isTakenForClaim: (lower: string) => boolean;
  private readonly known = new Map<string, Accepted>();
  private readonly pending = new Map<string, Promise<Result<Accepted, TokenError>>>();

  constructor(jwt: JwtAuthentication, deps: JwtDeps) {
    this.jwt = jwt;
    this.deps = deps;
    this.places = placesOf(jwt.providers, deps.clock);
    this.locations = this.places.map(({ location }) => location);
    this.claimHeaders = [
      ...new Set(jwt.providers.flatMap(({ claimHeaders }) => claimHeaders.map(({ header }) => header))),
    ];
    const meanings = new Set(this.claimHeaders.map(fieldSubject));
    this.isTakenForClaim = (lower) => meanings.has(fieldSubject(lower));
  }

  onRequest(context: RequestContext, request: HeldRequest): Verdict {
    const { head } = context;
    if (this.claimHeaders.length > 0) this.stripClaims(head.headers);
    const found = findTokens(head, this.locations);
    if (found === undefined) return this.jwt.allowsMissing ? undefined : this.missing(context);
    if (found.length > TOKENS_MAX)
      return this.refused(context, { fault: 'too_many', detail: 'there are too many tokens' });
    const taken = found.map((token) => this.take(token));
    const settled = taken.filter((one): one is Result<Accepted, TokenError> => !(one instanceof Promise));
    if (settled.length === taken.length) return this.settle(context, settled);
    void Promise.all(taken).then((results) => {
      const verdict = this.settle(context, results);
      if (verdict === undefined) request.resume();
      else request.refuse(verdict);
    });
    return HELD;
  }

  private stripClaims(headers: Headers): void {
    const before = headers.length;
    headers.removeWhere(this.isTakenForClaim);
    if (headers.length !== before) this.deps.recorder.count('jwt.claim_header_stripped');
  }

  /** An application might take the bad one of two tokens for the good one, so that one is enough to refuse. */
  private settle(context: RequestContext, results: readonly Result<Accepted, TokenError>[]): LocalReply | undefined {
    const accepted: Accepted[] = [];
    for (const result of results) {
      if (!result.ok) return this.refused(context, result.error);
      accepted.push(result.value);
    }
    const { head } = context;
    for (const [i, { provider, jwt }] of accepted.entries()) {
      context.jwt ??= jwt;
      // Claims of two tokens must not look like those of one.
      if (accepted.findIndex((one) => one.provider === provider) < i) continue;
      for (const { header, claim } of provider.claimHeaders) this.addClaim(context, header, claimAt(jwt.claims, claim));
      for (const location of provider.locations) {
        if (!provider.forward) removeTokens(head, location);
        // Nor is it logged.
        if (location.kind === 'query') context.path = withoutParameter(context.path, location.name);
      }
    }
    return undefined;
  }

  private addClaim({ head }: RequestContext, header: string, value: unknown): void {
    if (value === undefined) return;
    const text = claimText(value);
    if (text === undefined) this.deps.recorder.count('jwt.claim_unfit');
    else head.headers.set(header, text);
  }

  /** At once where the token is known or cannot be one. */
  private take({ text, place }: FoundToken): Result<Accepted, TokenError> | Promise<Result<Accepted, TokenError>> {
    if (text.length > TOKEN_CHARS_MAX) return fault('too_large', 'the token is too large');
    const key = `${place} ${hash('sha256', text, 'base64')}`;
    const known = this.known.get(key);
    if (known !== undefined) {
      if (this.deps.clock.unixMs() < known.untilUnixMs) return ok(known);
      this.known.delete(key);
    }
    const pending = this.pending.get(key);
    if (pending !== undefined) return pending;
    const verifiers = this.places[place]?.verifiers ?? [];
    const issuer = issuerOf(text);
    if (issuer === undefined) return fault('malformed', 'the token cannot be read');
    const verifier = verifiers.find(({ provider }) => provider.issuer === issuer);
    if (verifier === undefined) return fault('unknown_issuer', 'the issuer of the token is not known');
    if (this.pending.size >= PENDING_MAX) return fault('too_many', 'too many tokens are being verified');
    const verifying = this.verify(key, text, verifier).finally(() => this.pending.delete(key));
    this.pending.set(key, verifying);
    return verifying;
  }

  private async verify(key: string, text: string, verifier: TokenVerifier): Promise<Result<Accepted, TokenError>> {
    const verified = await verifier.verify(text).catch(() => fault('not_verified', 'the token cannot be verified now'));
    if (!verified.ok) return verified;
    const accepted = { ...verified.value, provider: verifier.provider };
    // Who came first has been asked for longest; a token that is still in use comes back.
    if (this.known.size >= CACHE_MAX)
      for (const oldest of this.known.keys()) {
        this.known.delete(oldest);
        break;
      }
    this.known.set(key, accepted);
    return ok(accepted);
  }

  private missing(context: RequestContext): LocalReply {
    this.deps.recorder.count('jwt.missing');
    // RFC 6750 section 3.1: who brought no token is told of no error.
    return unauthorized(context, 'a token is required', 'a token is required', '');
  }

  private refused(context: RequestContext, { fault: name, detail }: TokenError): LocalReply {
    this.deps.recorder.count(`jwt.refused.${name}`);
    return unauthorized(context, detail, `jwt ${name}: ${detail}`, ', error="invalid_token"');
  }
}

function unauthorized(context: RequestContext, text: string, detail: string, error: string): LocalReply {
  context.rule = JWT_FILTER;
  const description = error === '' ? '' : `, error_description="${text}"`;
  // A quoted string holds no quotes and no backslashes of others (RFC 9110 section 5.6.4).
  const realm = context.authority.replace(/["\\]/g, '');
  return {
    kind: 'reply',
    status: 401,
    body: `${text}\n`,
    headers: {
      ...noMutation,
      set: [{ name: 'www-authenticate', value: `Bearer realm="${realm}"${error}${description}` }],
    },
    flag: 'UAEX',
    detail,
  };
}

const fault = (name: TokenError['fault'], detail: string): Result<never, TokenError> => err({ fault: name, detail });

/** Of a token that nobody has verified: it says whose keys may do so. */
function issuerOf(token: string): string | undefined {
  const [, payload, , more] = token.split('.', 4);
  if (payload === undefined || more !== undefined) return undefined;
  try {
    const claims: unknown = JSON.parse(Buffer.from(payload, 'base64url').toString('utf8'));
    if (typeof claims !== 'object' || claims === null || !('iss' in claims)) return '';
    return typeof claims.iss === 'string' ? claims.iss : '';
  } catch {
    return undefined;
  }
}

function placesOf(providers: readonly JwtProvider[], clock: Clock): Place[] {
  const places = new Map<string, { readonly location: JwtLocation; readonly verifiers: TokenVerifier[] }>();
  for (const provider of providers) {
    const verifier = new TokenVerifier(provider, clock);
    for (const location of provider.locations) {
      const key = JSON.stringify(location);
      const known = places.get(key);
      if (known === undefined) places.set(key, { location, verifiers: [verifier] });
      else if (!known.verifiers.includes(verifier)) known.verifiers.push(verifier);
    }
  }
  return [...places.values()];
}
