import type { HealthCheck } from '@weft/policies/model/health-check';

/**
 * What a check came to. `failure`: an answer that says no; `refused`: one by which the endpoint asks for no traffic
 * whatsoever; `network`: no connection or no answer; `retriable`: an answer that counts as none.
 */
export type CheckOutcome = 'success' | 'failure' | 'refused' | 'retriable' | 'network' | 'timeout';

/** What the next interval follows from: how the check went, and whether one more of the kind may change something. */
export interface Verdict {
  readonly passed: boolean;
  readonly changeNear: boolean;
  /** The endpoint takes traffic now and did not, or the other way round, or it counts now. */
  readonly changed: boolean;
}

/** By a header of this name an endpoint says that it wants no traffic, in an answer to a check or to any request. */
export const IMMEDIATE_FAIL_HEADER = 'x-envoy-immediate-health-check-fail';

/** What active checks say of one endpoint: Envoy's flags and thresholds. */
export class HostHealth {
  /** It takes no traffic. */
  failed: boolean;
  /** It is not even counted among the endpoints, so that those that step aside cause no panic. */
  excluded: boolean;
  /** No check has ended yet. */
  pending = true;
  /** The last check that failed took too long. */
  timedOut = false;
  private readonly settings: HealthCheck;
  private readonly onChange: () => void;
  private successes = 0;
  private failures = 0;

  /** `failed`: what was known before; undefined: as the settings say. `onChange`: an answer to a request changed it. */
  constructor(settings: HealthCheck, failed: boolean | undefined, onChange: () => void) {
    this.settings = settings;
    this.failed = failed ?? settings.initially !== 'healthy';
    this.excluded = this.failed && settings.initially === 'ignored';
    this.onChange = onChange;
  }

  observe(outcome: CheckOutcome): Verdict {
    const first = this.pending;
    const wasExcluded = this.excluded;
    this.pending = false;
    if (outcome === 'success') {
      this.failures = 0;
      if (!this.failed) return { passed: true, changeNear: false, changed: first };
      this.successes++;
      // One success is enough to begin with: endpoints do not wait for their first traffic longer than they must.
      const well = first || this.successes >= this.settings.healthyThreshold;
      if (well) {
        this.failed = false;
        this.excluded = false;
        this.timedOut = false;
      }
      return { passed: true, changeNear: !well, changed: well || first };
    }
    this.successes = 0;
    this.timedOut = outcome === 'timeout';
    // Who is ignored until its first check has had it now.
    this.excluded = outcome === 'refused' || (wasExcluded && !first);
    if (this.failed) return { passed: false, changeNear: false, changed: first || this.excluded !== wasExcluded };
    this.failures++;
    const atOnce = outcome === 'failure' || outcome === 'refused';
    const ill = atOnce || this.failures >= this.settings.unhealthyThreshold;
    if (ill) this.failed = true;
    return { passed: false, changeNear: !ill, changed: ill || first };
  }

  /** An answer to a request said that the endpoint wants no traffic; checks say when it does again. */
  refuse(): void {
    this.successes = 0;
    if (this.failed && this.excluded) return;
    this.failed = true;
    this.excluded = true;
    this.onChange();
  }
}
