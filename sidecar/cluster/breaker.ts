import type { ErrorRateBreaker } from '@weft/policies/model/cluster';
import CircuitBreaker from 'opossum';
import type { Recorder } from '../telemetry/record.ts';

/** An outcome as opossum wants it: something with `then` and `catch`. It settles at once, without a promise of ours. */
interface Outcome {
  then(succeed: (value: undefined) => void): { catch(fail: (reason: unknown) => void): void };
}

const noCatch = { catch: (): void => {} };
const failure = new Error('upstream failed');
const succeeded: Outcome = {
  // biome-ignore lint/suspicious/noThenProperty: opossum takes a thenable
  then(succeed) {
    succeed(undefined);
    return noCatch;
  },
};
// biome-ignore lint/suspicious/noThenProperty: opossum takes a thenable
const failed: Outcome = { then: () => ({ catch: (fail) => fail(failure) }) };

/** The one attempt that is let through while half open; it settles when the attempt does. */
class Probe implements Outcome {
  private succeed: ((value: undefined) => void) | undefined = undefined;
  private fail: ((reason: unknown) => void) | undefined = undefined;

  // biome-ignore lint/suspicious/noThenProperty: opossum takes a thenable
  then(succeed: (value: undefined) => void): { catch(fail: (reason: unknown) => void): void } {
    this.succeed = succeed;
    return {
      catch: (fail) => {
        this.fail = fail;
      },
    };
  }

  settle(success: boolean): void {
    if (success) this.succeed?.(undefined);
    else this.fail?.(failure);
  }
}

/** With exactly 100 % as threshold opossum, which wants the rate to exceed it, would never open. */
const THRESHOLD_PERCENT_MAX = 99.999;
const BUCKETS = 10;

/**
 * The error-rate breaker of one cluster, on opossum. While it is closed an attempt is reported when it ends, so that a
 * request costs nothing at its beginning; while half open, the attempt that probes is handed over at its beginning.
 * Its window and its opening time run on opossum's own timers, not on our clock.
 */
export class Breaker {
  private readonly circuit: CircuitBreaker<[Outcome], undefined>;
  private readonly recorder: Recorder;
  private probe: Probe | undefined = undefined;
  /** How often it opened, and what it refused. */
  opened = 0;
  refused = 0;

  constructor(policy: ErrorRateBreaker, recorder: Recorder) {
    this.recorder = recorder;
    // opossum calls `then` and `catch` itself and never awaits the outcome: see circuit.call.
    const action = (outcome: Outcome) => outcome as Outcome & Promise<undefined>;
    this.circuit = new CircuitBreaker<[Outcome], undefined>(action, {
      timeout: false,
      errorThresholdPercentage: Math.min(policy.thresholdPercent, THRESHOLD_PERCENT_MAX),
      volumeThreshold: policy.volumeMin,
      rollingCountTimeout: policy.windowMs,
      rollingCountBuckets: BUCKETS,
      rollingPercentilesEnabled: false,
      enableSnapshots: false,
      resetTimeout: policy.openMs,
    });
    // Without a fallback every failure would be a rejected promise.
    this.circuit.fallback(() => undefined);
    this.circuit.on('open', () => {
      this.opened++;
      recorder.count('breaker.open');
    });
    this.circuit.on('halfOpen', () => recorder.count('breaker.half-open'));
    this.circuit.on('close', () => recorder.count('breaker.close'));
  }

  /** Whether an attempt would be let through now. */
  get admits(): boolean {
    return this.circuit.closed || (this.circuit.halfOpen && this.circuit.pendingClose);
  }

  get state(): 'closed' | 'open' | 'half-open' {
    if (this.circuit.closed) return 'closed';
    return this.circuit.halfOpen ? 'half-open' : 'open';
  }

  /** Undefined: refused. What is returned goes back to `settle`, exactly once. */
  begin(): BreakerTicket | undefined {
    if (this.circuit.closed) return ordinary;
    if (!this.circuit.halfOpen || !this.circuit.pendingClose) {
      this.refused++;
      this.recorder.count('breaker.refused');
      return undefined;
    }
    const probe = new Probe();
    this.probe = probe;
    void this.circuit.fire(probe);
    return probe;
  }

  /** `abandoned`: no fault of the upstream; a probe of which nothing was learned keeps the breaker open. */
  settle(ticket: BreakerTicket, outcome: 'success' | 'failure' | 'abandoned'): void {
    if (ticket instanceof Probe) {
      if (this.probe === ticket) {
        this.probe = undefined;
        ticket.settle(outcome === 'success');
      }
      return;
    }
    // What began before the breaker opened says nothing about now.
    if (outcome === 'abandoned' || !this.circuit.closed) return;
    void this.circuit.fire(outcome === 'success' ? succeeded : failed);
  }

  close(): void {
    this.circuit.shutdown();
  }
}

const ordinary = { kind: 'ordinary' } as const;
export type BreakerTicket = typeof ordinary | Probe;

/** A breaker of the one may go on as one of the other. */
export function sameBreaker(a: ErrorRateBreaker | undefined, b: ErrorRateBreaker | undefined): boolean {
  if (a === undefined || b === undefined) return a === b;
  return (
    a.thresholdPercent === b.thresholdPercent &&
    a.volumeMin === b.volumeMin &&
    a.windowMs === b.windowMs &&
    a.openMs === b.openMs
  );
}
