import type { Clock } from '@weft/policies/kit/clock';
import type { ExtAuthz } from '@weft/policies/model/ext-authz';
import type { ClusterManager } from '../../cluster/manager.ts';
import type { RequestHead, ResponseHead } from '../../http/exchange.ts';
import type { CertificateSource } from '../../identity/source.ts';
import { StringMatcher } from '../../route/pattern.ts';
import type { Recorder } from '../../telemetry/record.ts';
import type { RequestContext } from '../context.ts';
import type { HeldRequest, LocalReply, RequestFilter, Verdict } from '../filter.ts';
import type { ShadowPolicy } from '../shadow-policies.ts';
import type { AuthorizerAnswer } from './call.ts';
import { AuthorizerCheck } from './check.ts';
import type { CheckedBody } from './check-messages.ts';
import { GrpcService } from './grpc-service.ts';
import { HttpService } from './http-service.ts';
import { changeResponse, type Judgement } from './judgement.ts';
import { ShownFields } from './shown-headers.ts';
import { newExternalAuthorization } from './state.ts';

/** Requests of this thread that wait for authorizers; further ones are not asked about. */
const HELD_MAX = 1_024;

let held = 0;

export interface ExtAuthzDeps {
  readonly clusters: ClusterManager;
  readonly clock: Clock;
  readonly recorder: Recorder;
  readonly identity: CertificateSource;
}

const PARTIAL = 'x-envoy-auth-partial-body';
const noBody = Buffer.alloc(0);

/** Asks an authorizer outside of the proxy, and holds the request meanwhile. */
export class ExtAuthzFilter implements RequestFilter {
  readonly authz: ExtAuthz;
  readonly deps: ExtAuthzDeps;
  private readonly service: GrpcService | HttpService;
  private readonly shown: ShownFields;
  private readonly enabling: StringMatcher | undefined;

  constructor(authz: ExtAuthz, deps: ExtAuthzDeps) {
    this.authz = authz;
    this.deps = deps;
    this.service =
      authz.service.kind === 'grpc' ? new GrpcService(authz.service, authz.timeoutMs) : new HttpService(authz.service);
    this.shown = new ShownFields(authz);
    const value = authz.enabledBy?.value;
    this.enabling = value === undefined || value.kind === 'present' ? undefined : new StringMatcher(value);
  }

  onRequest(context: RequestContext, request: HeldRequest): Verdict {
    const { enabledBy } = this.authz;
    if (enabledBy !== undefined) {
      const shadow = context.shadows?.get(enabledBy.prefix);
      if (shadow === undefined || this.enabling?.test(shadow.policy) === false) return undefined;
      context.rule = shadow.policy;
      if (shadow.undecidable !== '') return this.undecidable(shadow);
    }
    if (held >= HELD_MAX) return this.tooMany();
    held++;
    context.external ??= newExternalAuthorization();
    const check = new AuthorizerCheck(this, context, context.external, request);
    context.external.check = check;
    return check.start();
  }

  onResponse({ external }: RequestContext, head: ResponseHead): void {
    if (external === undefined) return;
    for (const change of external.responseChanges.splice(0)) changeResponse(head.headers, change);
  }

  onEnd({ external }: RequestContext): void {
    external?.check?.cancel();
  }

  /** The request that the authorizer gets. */
  question(
    context: RequestContext,
    body: CheckedBody | undefined,
  ): { readonly head: RequestHead; readonly message: Buffer } {
    const shown = this.shown.of(context.head);
    if (body !== undefined) shown.set(PARTIAL, String(body.partial));
    if (this.service instanceof HttpService) {
      const message = body?.bytes ?? noBody;
      return { head: this.service.headOf(context, shown, message.length), message };
    }
    const identity = this.deps.identity.own()?.spiffeId ?? '';
    return { head: this.service.head(context), message: this.service.message(context, shown, body, identity) };
  }

  judge(answer: AuthorizerAnswer): Judgement {
    return this.service.judge(answer);
  }

  count(outcome: string, reason = ''): void {
    const { recorder } = this.deps;
    recorder.tally?.('weft_ext_authz_requests_total', { authorizer: this.authz.statPrefix, outcome, reason });
    if (outcome === 'denied') recorder.count('ext_authz.denied');
    else if (outcome.startsWith('failed')) recorder.count(`ext_authz.${outcome}`);
  }

  /** A request is held no longer. */
  left(): void {
    held--;
  }

  private undecidable({ undecidable }: ShadowPolicy): LocalReply {
    this.count('denied', 'path');
    return this.refusal(403, `RBAC: access denied ${undecidable}`);
  }

  private tooMany(): Verdict {
    if (this.authz.failureAllowed) {
      this.count('failed_open', 'held');
      return undefined;
    }
    this.count('failed', 'held');
    return this.refusal(this.authz.errorStatus, `${HELD_MAX} requests wait for authorizers already`);
  }

  private refusal(status: number, detail: string): LocalReply {
    return {
      kind: 'reply',
      status,
      body: `${detail}\n`,
      headers: { set: [], add: [], remove: [] },
      flag: 'UAEX',
      detail: `external authorization by ${this.authz.statPrefix}: ${detail}`,
    };
  }
}
