import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { Admission, GradientSettings } from '@weft/policies/model/overload';
import type { Recorder } from '../../telemetry/record.ts';
import { AdmissionController } from './controller.ts';
import { FixedLimit, GradientLimit, type Limit } from './gradient.ts';
import { refusal } from './refusal.ts';

/** Applications behind one data thread; a workload has one. */
const CONTROLLERS_MAX = 64;

interface AdmissionsDeps {
  readonly clock: Clock;
  readonly prng: Prng;
  readonly recorder: Recorder;
  /** Data threads that share a limit, each of which gets as much of it. */
  readonly threads: number;
}

interface Known {
  readonly controller: AdmissionController;
  limitSettings: string;
}

/** The places of applications by name. They outlive the version of the listener, and all filter chains share them. */
export class Admissions {
  readonly deps: AdmissionsDeps;
  private readonly known = new Map<string, Known>();

  constructor(deps: AdmissionsDeps) {
    this.deps = deps;
  }

  controllerOf(admission: Admission, gradient: GradientSettings | undefined): AdmissionController | undefined {
    const limitSettings = JSON.stringify([admission.fixedLimit, gradient]);
    const known = this.known.get(admission.name);
    if (known !== undefined) {
      const same = known.limitSettings === limitSettings;
      const limit = same ? known.controller.limit : this.limitOf(admission.fixedLimit, gradient);
      if (limit === undefined) return undefined;
      known.limitSettings = limitSettings;
      known.controller.configure(limit, admission.queue);
      return known.controller;
    }
    const limit = this.limitOf(admission.fixedLimit, gradient);
    if (limit === undefined) return undefined;
    const { clock, recorder } = this.deps;
    const status = gradient?.status ?? 503;
    const deps = { clock, count: (event: string) => recorder.count(event) };
    const controller = new AdmissionController(limit, admission.queue, deps, (ticket, reason) => {
      ticket.request.refuse(refusal(ticket.context, reason, status));
    });
    if (this.known.size >= CONTROLLERS_MAX) this.dropOldest();
    this.known.set(admission.name, { controller, limitSettings });
    return controller;
  }

  all(): IterableIterator<[string, { readonly controller: AdmissionController }]> {
    return this.known.entries();
  }

  private limitOf(fixed: number | undefined, gradient: GradientSettings | undefined): Limit | undefined {
    const { clock, prng, threads } = this.deps;
    if (fixed !== undefined) return new FixedLimit(Math.max(1, Math.floor(fixed / threads)));
    return gradient && new GradientLimit(gradient, prng, clock.nowMs());
  }

  private dropOldest(): void {
    const oldest = this.known.keys().next();
    if (oldest.done !== true) this.known.delete(oldest.value);
    this.deps.recorder.count('admission.controllers_max');
  }
}
