import type { Cancel, Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import type { OutlierDetection } from '@weft/policies/model/outlier';
import { OutlierDetector } from './detector.ts';

/** A detector that looks at its endpoints every interval, until it is stopped. */
export class OutlierWatch {
  readonly detector: OutlierDetector;
  private cancel: Cancel;

  constructor(settings: OutlierDetection, prng: Prng, clock: Clock, onChange: () => void) {
    this.detector = new OutlierDetector(settings, prng, () => clock.nowMs(), onChange);
    const next = (): void => {
      this.detector.tick();
      this.cancel = clock.after(settings.intervalMs, next);
    };
    this.cancel = clock.after(settings.intervalMs, next);
  }

  stop(): void {
    this.cancel();
  }
}
