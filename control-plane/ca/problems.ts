/** What is wrong with the certificate authority now. */
import type { Log } from '@weft/policies/kit/log';

export interface CaProblem {
  readonly reason: 'SourceInvalid' | 'StateInvalid' | 'StoreUnreachable' | 'AnchorRemovedTooEarly' | 'RequestFailed';
  readonly message: string;
}

export interface ProblemOptions {
  readonly log: Log;
  /** After something that is to be reported has changed. */
  readonly onReport?: () => void;
}

export class CaProblems {
  /** Keys and certificates that could not be taken. */
  refused = 0;
  private readonly options: ProblemOptions;
  private readonly messages = new Map<CaProblem['reason'], string>();

  constructor(options: ProblemOptions) {
    this.options = options;
  }

  list(): readonly CaProblem[] {
    return [...this.messages].map(([reason, message]) => ({ reason, message }));
  }

  /** Said once, when it begins and when it changes; undefined: it is over. */
  say(reason: CaProblem['reason'], message: string | undefined): void {
    if (message === this.messages.get(reason)) return;
    const { log, onReport } = this.options;
    if (message === undefined) {
      this.messages.delete(reason);
      onReport?.();
      log.info('certificate authority: problem over', { problem: reason });
      return;
    }
    if (reason === 'SourceInvalid') this.refused += 1;
    this.messages.set(reason, message);
    onReport?.();
    log.error('certificate authority', { problem: reason, reason: message });
  }
}
