/** What applications do with a request: what its id says. Shared by both versions of HTTP. */
import { type Answer, CASE_FIELD, type Fault, type Field, fieldOf, type Received } from './case.ts';

export type Side = 'weft' | 'envoy';
export const IP: Readonly<Record<Side, string>> = { weft: '127.0.0.1', envoy: '127.0.0.2' };
export const sideOf = (ip: string | undefined): Side => (ip === IP.envoy ? 'envoy' : 'weft');

/** What one attempt gets. */
export interface Play {
  readonly id: string;
  readonly answer: Answer;
  readonly status: number;
  readonly fault: Fault | undefined;
}

interface Expected {
  readonly answer: Answer;
  readonly received: Readonly<Record<Side, Received[]>>;
  readonly copies: Readonly<Record<Side, Received[]>>;
}

const plain: Answer = {
  interim: [],
  status: 200,
  fields: [],
  framing: 'length',
  chunks: [],
  trailers: [],
  early: false,
  delayMs: 0,
  closing: false,
  fault: undefined,
  failures: 0,
  failureStatus: 0,
  failure: undefined,
};
const unexpected: Answer = { ...plain, status: 299, chunks: ['nobody expects this request'] };

/** Which requests are under way, and what has come of them. */
export class Script {
  private readonly cases = new Map<string, Expected>();
  private readonly copying: string | undefined;

  /** The application that only takes copies: they come when they come, and are no attempts. */
  constructor(copying?: string) {
    this.copying = copying;
  }

  expect(id: string, answer: Answer): void {
    this.cases.set(id, { answer, received: { weft: [], envoy: [] }, copies: { weft: [], envoy: [] } });
  }

  received(id: string, side: Side): readonly Received[] {
    return this.cases.get(id)?.received[side] ?? [];
  }

  copies(id: string, side: Side): readonly Received[] {
    return this.cases.get(id)?.copies[side] ?? [];
  }

  forget(id: string): void {
    this.cases.delete(id);
  }

  /** A request has come in; what it is to get. */
  take(side: Side, received: Received): Play {
    const id = fieldOf(received.fields, CASE_FIELD) ?? '';
    const expected = this.cases.get(id);
    if (expected === undefined) return { id, answer: unexpected, status: unexpected.status, fault: undefined };
    if (received.application === this.copying) {
      expected.copies[side].push(received);
      return { id, answer: plain, status: plain.status, fault: undefined };
    }
    const all = expected.received[side];
    all.push(received);
    const { answer } = expected;
    const failing = all.length <= answer.failures;
    if (!failing) return { id, answer, status: answer.status, fault: answer.fault };
    return { id, answer, status: answer.failureStatus, fault: answer.failure };
  }
}

/** The names of what answers, and for whom. */
export const ownFields = (id: string, application: string): readonly Field[] => [
  ['X-Case', id],
  ['X-From', application],
];
