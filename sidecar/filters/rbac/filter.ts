import type { Rbac } from '@weft/policies/model/authorization';
import type { ProxyError } from '../../http/errors.ts';
import type { Recorder } from '../../telemetry/record.ts';
import type { RequestContext } from '../context.ts';
import type { RequestFilter } from '../filter.ts';
import { RbacEngine, type Subject } from './engine.ts';

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

  onRequest(context: RequestContext): ProxyError | undefined {
    const decision = this.engine.decide(context);
    switch (decision.kind) {
      case 'none':
        return undefined;
      case 'allow':
        context.rule = decision.rule;
        return undefined;
      case 'log':
        this.recorder.count('rbac.audit');
        if (context.rule === '') context.rule = decision.rule;
        return undefined;
      case 'deny':
        this.recorder.count('rbac.denied');
        context.rule = decision.rule;
        return denied(decision.reason);
    }
  }
}

/** Authorization of opaque connections: all filters of a chain, compiled once with it. */
export class ConnectionAuthorizer {
  private readonly engines: readonly RbacEngine[];
  private readonly recorder: Recorder;

  constructor(filters: readonly Rbac[], recorder: Recorder) {
    this.engines = filters.map((rbac, index) => new RbacEngine(`network-rbac-${index}`, rbac));
    this.recorder = recorder;
  }

  /** The rule is empty where none decided; an error means to close the connection. */
  authorize(connection: Subject['connection']): { readonly rule: string; readonly error: ProxyError | undefined } {
    const subject: Subject = { connection, head: undefined };
    let rule = '';
    for (const engine of this.engines) {
      const decision = engine.decide(subject);
      if (decision.kind === 'deny') {
        this.recorder.count('rbac.denied');
        return { rule: decision.rule, error: denied(decision.reason) };
      }
      if (decision.kind === 'log') this.recorder.count('rbac.audit');
      if (decision.kind !== 'none') rule = decision.rule;
    }
    return { rule, error: undefined };
  }
}
