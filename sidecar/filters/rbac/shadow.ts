import type { Rbac } from '@weft/policies/model/authorization';
import type { Recorder } from '../../telemetry/record.ts';
import type { RequestContext } from '../context.ts';
import type { RequestFilter } from '../filter.ts';
import { RbacEngine } from './engine.ts';

/** Rules that decide nothing: they say who is asked about a request. */
export class ShadowRbacFilter implements RequestFilter {
  private readonly name: string;
  private readonly prefix: string;
  private readonly engine: RbacEngine;
  private readonly recorder: Recorder;

  constructor(name: string, prefix: string, rbac: Rbac, recorder: Recorder) {
    this.name = name;
    this.prefix = prefix;
    this.recorder = recorder;
    this.engine = new RbacEngine(name, rbac);
  }

  onRequest(context: RequestContext): undefined {
    const decision = this.engine.decide(context);
    if (decision.kind === 'none') return undefined;
    // The name of the filter stands for none of its policies: the rules could not be evaluated with certainty.
    const unknown = decision.kind === 'deny' && decision.rule === this.name;
    if (unknown && decision.reason.startsWith('no policy')) return undefined;
    if (!unknown) this.recorder.decision?.(decision.rule, 'CUSTOM');
    context.shadows ??= new Map();
    context.shadows.set(this.prefix, { policy: decision.rule, undecidable: unknown ? decision.reason : '' });
    return undefined;
  }
}
