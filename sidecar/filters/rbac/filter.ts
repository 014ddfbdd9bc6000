import type { Rbac } from '@weft/policies/model/authorization';
import type { ProxyError } from '../../http/errors.ts';
import type { Recorder } from '../../telemetry/record.ts';
import type { RequestContext } from '../context.ts';
import type { RequestFilter } from '../filter.ts';
import { RbacEngine } from './engine.ts';

function denied(reason: string): ProxyError {
  return { source: 'internal', flag: 'UAEX', status: 403, retry: 'no', detail: `RBAC: access denied ${reason}` };
}

/** Authorization of requests. The decision's rule is in the record, also when it allowed. */
export class RbacFilter implements RequestFilter {
  private readonly engine: RbacEngine;
  private readonly recorder: Recorder;

  constructor(name: string, rbac: Rbac, recorder: Recorder) {
    this.engine = new RbacEngine(name, rbac);
    this.recorder = recorder;
  }

  authorizes(context: RequestContext): ProxyError | undefined {
    return this.onRequest(context);
  }

  onRequest(context: RequestContext): ProxyError | undefined {
    const decision = this.engine.decide(context);
    switch (decision.kind) {
      case 'none':
        return undefined;
      case 'allow':
        this.recorder.decision?.(decision.rule, 'ALLOW');
        context.rule = decision.rule;
        return undefined;
      case 'log':
        this.recorder.count('rbac.audit');
        this.recorder.decision?.(decision.rule, 'AUDIT');
        if (context.rule === '') context.rule = decision.rule;
        return undefined;
      case 'deny':
        this.recorder.count('rbac.denied');
        this.recorder.decision?.(decision.rule, 'DENY');
        context.rule = decision.rule;
        return denied(decision.reason);
    }
  }
}
