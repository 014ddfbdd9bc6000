import type { Clock } from '@weft/policies/kit/clock';
import type { Answers } from './protocol.ts';

interface Question {
  readonly missing: Set<number>;
  readonly onAnswer: (thread: number, value: Answers[keyof Answers]) => void;
  readonly finish: () => void;
}

/** Questions to all threads; a thread that dies or says nothing in time is left out. */
export class Questions {
  private readonly open = new Map<number, Question>();
  private readonly clock: Clock;
  private readonly timeoutMs: number;
  private readonly count: (event: string) => void;
  private lastId = 0;

  constructor(clock: Clock, timeoutMs: number, count: (event: string) => void) {
    this.clock = clock;
    this.timeoutMs = timeoutMs;
    this.count = count;
  }

  /** `send` is called with the id of the question for each thread. */
  ask<W extends keyof Answers>(
    threads: readonly number[],
    send: (thread: number, id: number) => void,
  ): Promise<ReadonlyMap<number, Answers[W]>> {
    const id = ++this.lastId;
    return new Promise((resolve) => {
      const answers = new Map<number, Answers[W]>();
      const finish = (): void => {
        this.open.delete(id);
        cancelTimer();
        resolve(answers);
      };
      const cancelTimer = this.clock.after(this.timeoutMs, () => {
        this.count('data_thread_silent');
        finish();
      });
      const question: Question = {
        missing: new Set(threads),
        // What comes back is of the kind that was asked for: both sides are of this very build.
        onAnswer: (thread, value) => answers.set(thread, value as Answers[W]),
        finish,
      };
      this.open.set(id, question);
      for (const thread of threads) send(thread, id);
      if (threads.length === 0) finish();
    });
  }

  answered(thread: number, id: number, value: Answers[keyof Answers]): void {
    const question = this.open.get(id);
    if (question === undefined || !question.missing.delete(thread)) return;
    question.onAnswer(thread, value);
    if (question.missing.size === 0) question.finish();
  }

  gone(thread: number): void {
    for (const question of [...this.open.values()]) {
      if (question.missing.delete(thread) && question.missing.size === 0) question.finish();
    }
  }
}
