import type { Ticket } from './ticket.ts';

/**
 * Requests of one caller that wait in a class. A Set keeps them in the order in which they came, and lets go of one in
 * the middle at once.
 */
export class Flow {
  readonly key: string;
  /** Since then there has been no end of waiting. */
  readonly sinceMs: number;
  private readonly tickets = new Set<Ticket>();

  constructor(key: string, sinceMs: number) {
    this.key = key;
    this.sinceMs = sinceMs;
  }

  get length(): number {
    return this.tickets.size;
  }

  add(ticket: Ticket): void {
    this.tickets.add(ticket);
  }

  delete(ticket: Ticket): void {
    this.tickets.delete(ticket);
  }

  oldest(): Ticket | undefined {
    return this.tickets.values().next().value;
  }
}
