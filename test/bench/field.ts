/** Contestants that run side by side and are measured in turn, so that what else the machine does meets all of them. */
import { errorText } from '@weft/policies/kit/error-text';
import { cpuUs, median } from './measure.ts';
import type { Report, Row } from './report.ts';
import type { Contestant, Subject } from './subjects/subject.ts';

const WARM_UP_TRIES_MAX = 3;

export type Sample = Readonly<Record<string, number>>;

export interface Comparison {
  readonly bench: string;
  readonly metric: string;
  /** Keys of contestants. */
  readonly subject: string;
  readonly peer: string;
  readonly load?: string;
  readonly wire?: string;
  readonly note?: string | undefined;
}

const rounded = (value: number): number => Number(value.toPrecision(4));

/** What was measured of each contestant; one whose run failed has no number. */
export class Samples {
  private readonly names: ReadonlyMap<string, string>;
  private readonly samples = new Map<string, Sample[]>();
  private readonly failures = new Map<string, string>();

  constructor(contestants: readonly Pick<Contestant, 'key' | 'name'>[]) {
    this.names = new Map(contestants.map(({ key, name }) => [key, name]));
  }

  add(key: string, sample: Sample): void {
    this.samples.set(key, [...(this.samples.get(key) ?? []), sample]);
  }

  fail(key: string, error: unknown): void {
    if (!this.failures.has(key)) this.failures.set(key, errorText(error));
  }

  failure(key: string): string | undefined {
    return this.failures.get(key);
  }

  values(key: string, metric: string): readonly number[] {
    if (this.failures.has(key)) return [];
    return (this.samples.get(key) ?? []).flatMap((sample) => sample[metric] ?? []);
  }

  value(key: string, metric: string): number | undefined {
    const values = this.values(key, metric);
    return values.length === 0 ? undefined : median(values);
  }

  row({ bench, metric, subject, peer, load, wire, note }: Comparison): Row {
    const [values, peers] = [this.values(subject, metric), this.values(peer, metric)];
    const [value, peerValue] = [this.value(subject, metric), this.value(peer, metric)];
    const errors = [subject, peer].flatMap((key) => {
      const failure = this.failures.get(key);
      if (failure !== undefined) return [`${this.names.get(key)}: ${failure}`];
      return this.value(key, metric) === undefined ? [`${this.names.get(key)}: was not measured`] : [];
    });
    return {
      bench,
      subject: this.names.get(subject) ?? subject,
      peer: this.names.get(peer) ?? peer,
      metric,
      subject_value: value === undefined ? null : rounded(value),
      peer_value: peerValue === undefined ? null : rounded(peerValue),
      ratio: value === undefined || peerValue === undefined ? null : Number((value / peerValue).toPrecision(3)),
      runs: Math.max(values.length, peers.length),
      ...(load === undefined ? {} : { load }),
      ...(wire === undefined ? {} : { wire }),
      ...(values.length < 2 ? {} : { subject_range: range(values) }),
      ...(peers.length < 2 ? {} : { peer_range: range(peers) }),
      ...(note === undefined || note === '' ? {} : { note }),
      ...(errors.length === 0 ? {} : { error: errors.join('; ') }),
    };
  }
}

const range = (values: readonly number[]): readonly [number, number] => [
  rounded(Math.min(...values)),
  rounded(Math.max(...values)),
];

export const report = (to: Report, samples: Samples, comparisons: readonly Comparison[]): void => {
  for (const comparison of comparisons) to.add(samples.row(comparison));
};

export const stopSubject = async ({ programs }: Subject): Promise<void> => {
  for (const program of programs) await program.stop();
};

/** Time on a processor that all processes of a subject take while something runs. */
export async function cpuUsDuring<T>({ programs }: Subject, work: () => Promise<T>): Promise<[number, T]> {
  const total = (): number => programs.reduce((sum, { pid }) => sum + cpuUs(pid), 0);
  const before = total();
  const result = await work();
  const dead = programs.find((program) => program.ended);
  if (dead !== undefined) throw new Error(`a proxy ended under load: ${dead.stderr}`);
  return [total() - before, result];
}

export class Field {
  private readonly contestants: readonly Contestant[];
  private readonly running = new Map<string, Subject>();
  private readonly failures = new Map<string, unknown>();

  private constructor(contestants: readonly Contestant[]) {
    this.contestants = contestants;
  }

  /** Starts all; what does not start is failed in every measurement. */
  static async start(contestants: readonly Contestant[]): Promise<Field> {
    const field = new Field(contestants);
    for (const contestant of contestants) {
      try {
        field.running.set(contestant.key, await contestant.start());
      } catch (error) {
        field.failures.set(contestant.key, error);
      }
    }
    return field;
  }

  /** Runs that count, in turn. */
  async measure(
    runs: number,
    sample: (subject: Subject, key: string) => Promise<Sample>,
    only: (key: string) => boolean = () => true,
  ): Promise<Samples> {
    const samples = new Samples(this.contestants);
    for (const [key, error] of this.failures) samples.fail(key, error);
    for (let run = 0; run < runs; run++) {
      for (const [key, subject] of this.running) {
        if (!only(key) || samples.failure(key) !== undefined) continue;
        try {
          samples.add(key, await sample(subject, key));
        } catch (error) {
          samples.fail(key, error);
        }
      }
    }
    return samples;
  }

  /**
   * A load before the first run that counts, which is strict: here a machine that is busy elsewhere may let a proxy wait
   * for its first second. A contestant that never gets through has failed.
   */
  async warmUp(load: (subject: Subject, key: string) => Promise<unknown>): Promise<void> {
    for (const [key, subject] of this.running) {
      let failure: unknown;
      for (let tries = 0; tries < WARM_UP_TRIES_MAX; tries++) {
        try {
          failure = undefined;
          await load(subject, key);
          break;
        } catch (error) {
          failure = error;
        }
      }
      if (failure === undefined) continue;
      this.failures.set(key, failure);
      this.running.delete(key);
      await stopSubject(subject);
    }
  }

  async stop(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    for (const { programs } of this.running.values()) {
      for (const program of programs) await program.stop(signal);
    }
  }
}

/** A process of its own for each run, so that each begins cold. */
export async function measureFresh(
  contestants: readonly Contestant[],
  runs: number,
  sample: (subject: Subject, key: string) => Promise<Sample>,
): Promise<Samples> {
  const samples = new Samples(contestants);
  for (let run = 0; run < runs; run++) {
    for (const contestant of contestants) {
      if (samples.failure(contestant.key) !== undefined) continue;
      try {
        const subject = await contestant.start();
        try {
          samples.add(contestant.key, await sample(subject, contestant.key));
        } finally {
          await stopSubject(subject);
        }
      } catch (error) {
        samples.fail(contestant.key, error);
      }
    }
  }
  return samples;
}
