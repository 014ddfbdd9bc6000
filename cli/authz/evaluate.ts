/** What the rules of a workload make of a flow: translated as the control plane does it, judged as the sidecar does. */
import type { Flow } from '@weft/control-plane/decisions/flows';
import type { Pod } from '@weft/control-plane/index/core';
import { modeAt, wantedModes } from '@weft/control-plane/translate/authentication';
import { authorizationOf, type WorkloadAuthorization } from '@weft/control-plane/translate/authorization';
import type { TranslateContext } from '@weft/control-plane/translate/context';
import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Rbac, RbacPolicy } from '@weft/policies/model/authorization';
import { ANY_PATH } from '@weft/sidecar/authorization/book';
import { RbacEngine, type Subject } from '@weft/sidecar/filters/rbac/engine';
import { Headers } from '@weft/sidecar/http/headers';
import { bounded, type Unknown } from './bounds.ts';

/** `asked`: an authorizer outside of the mesh has the word. */
export interface Verdict {
  readonly kind: 'allowed' | 'denied' | 'asked';
  /** That decided; empty: none did. */
  readonly rule: string;
}

/** Rules of a workload at one time. */
export class WorkloadRules {
  readonly filters: readonly Rbac[];
  readonly network: readonly Rbac[];
  private readonly context: TranslateContext;
  private readonly pod: Pod;
  private readonly custom: readonly Rbac[];
  private readonly engines = new Map<Rbac, RbacEngine>();

  constructor(context: TranslateContext, pod: Pod) {
    this.context = context;
    this.pod = pod;
    const authorization: WorkloadAuthorization = authorizationOf(context, pod);
    this.custom = authorization.custom.flatMap((one) =>
      one.kind === 'rbacShadow' || one.kind === 'rbac' ? [one.rbac] : [],
    );
    this.filters = [...this.custom, ...authorization.http];
    this.network = authorization.network;
  }

  judge(flow: Flow): Verdict {
    if (flow.identity === '' && modeAt(wantedModes(this.context.state, this.pod), flow.port) === 'STRICT') {
      return { kind: 'denied', rule: 'mTLS STRICT: the caller shows no identity' };
    }
    const subject = subjectOf(flow);
    let rule = '';
    for (const rbac of flow.method === '' ? this.network : this.filters) {
      const decision = this.engineOf(rbac).decide(subject);
      if (decision.kind === 'none' || decision.kind === 'log') continue;
      if (this.custom.includes(rbac)) return { kind: 'asked', rule: decision.rule };
      if (decision.kind === 'deny') return { kind: 'denied', rule: decision.rule };
      rule = decision.rule;
    }
    return { kind: 'allowed', rule };
  }

  private engineOf(rbac: Rbac): RbacEngine {
    let engine = this.engines.get(rbac);
    if (engine === undefined) {
      engine = new RbacEngine(`no ${rbac.action.toUpperCase()} policy matches`, rbac);
      this.engines.set(rbac, engine);
    }
    return engine;
  }
}

/** What policies read that are not the same before and after, and that no summary of a flow knows. */
export function unknowns(before: WorkloadRules, after: WorkloadRules, flow: Flow): readonly string[] {
  const lists = flow.method === '' ? [before.network, after.network] : [before.filters, after.filters];
  const [old = [], fresh = []] = lists.map((rbacs) => rbacs.flatMap(({ policies }) => policies));
  const earlier = new Set(old.map((policy) => JSON.stringify(policy)));
  const later = new Set(fresh.map((policy) => JSON.stringify(policy)));
  const changed = [
    ...fresh.filter((policy) => !earlier.has(JSON.stringify(policy))),
    ...old.filter((policy) => !later.has(JSON.stringify(policy))),
  ];
  const subject = subjectOf(flow);
  const known = { ip: flow.ip !== '', path: flow.path !== ANY_PATH };
  const matches = (policy: RbacPolicy): boolean =>
    new RbacEngine('changed', { action: 'allow', policies: [policy] }).decide(subject).kind === 'allow';
  const all = new Set<Unknown>();
  for (const policy of changed) {
    const met = new Set<Unknown>();
    const most = bounded(policy, known, true, met);
    if (met.size > 0 && matches(most) !== matches(bounded(policy, known, false, met)))
      for (const one of met) all.add(one);
  }
  return [...all].sort();
}

/** A request like those of the flow, with nothing of what was not kept of them. */
function subjectOf(flow: Flow): Subject {
  const ip = flow.ip === '' ? '0.0.0.0' : flow.ip;
  return {
    connection: {
      remoteIp: ip,
      destinationIp: '0.0.0.0',
      destinationPort: flow.port,
      peer:
        flow.identity === ''
          ? undefined
          : {
              // It was verified by the sidecar that told of it.
              spiffeId: flow.identity as SpiffeId,
              subjectAltNames: [flow.identity],
              fingerprint: '',
              serialHex: '',
              notBeforeUnixMs: 0,
              notAfterUnixMs: 0,
            },
    },
    clientIp: ip,
    head:
      flow.method === ''
        ? undefined
        : {
            method: flow.method,
            scheme: 'http',
            authority: flow.host,
            path: flow.example === '' ? flow.path : flow.example,
            protocol: undefined,
            headers: new Headers(),
            version: 11,
            contentLength: 0,
            expectContinue: false,
          },
  };
}
