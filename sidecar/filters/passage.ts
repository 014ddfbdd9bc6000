import type { CompiledRoute } from '../route/table.ts';
import type { RequestContext } from './context.ts';
import { type FilterChain, HELD, type HeldRequest, type Refusal, type Verdict } from './filter.ts';

/** Who sends a request through the filters. */
export interface PassageOwner {
  /** Nothing may be done for the request any more. */
  readonly over: boolean;
  /** All filters have let it pass that come before a route. */
  onAdmitted(): void;
  /** All have that come after. */
  onRouteAdmitted(found: CompiledRoute): void;
  /** A filter keeps it. */
  onHeld(): void;
  onRefused(verdict: Refusal): void;
}

/** How far a request has come through the filters. */
export class Passage implements HeldRequest {
  private readonly filters: FilterChain;
  private readonly context: RequestContext;
  private readonly owner: PassageOwner;
  private next = 0;
  private found: CompiledRoute | undefined = undefined;

  constructor(filters: FilterChain, context: RequestContext, owner: PassageOwner) {
    this.filters = filters;
    this.context = context;
    this.owner = owner;
  }

  start(): void {
    this.ask();
  }

  /** The route is known. */
  route(found: CompiledRoute): void {
    this.found = found;
    this.next = 0;
    this.askOfRoute(found);
  }

  resume(): void {
    if (this.owner.over) return;
    if (this.found === undefined) this.ask();
    else this.askOfRoute(this.found);
  }

  refuse(verdict: Refusal): void {
    if (!this.owner.over) this.owner.onRefused(verdict);
  }

  private ask(): void {
    const filters = this.filters.onRequest;
    for (let filter = filters[this.next]; filter !== undefined; filter = filters[this.next]) {
      this.next++;
      if (!this.passes(filter.onRequest(this.context, this))) return;
    }
    this.owner.onAdmitted();
  }

  private askOfRoute(found: CompiledRoute): void {
    const filters = this.filters.onRoute;
    for (let filter = filters[this.next]; filter !== undefined; filter = filters[this.next]) {
      this.next++;
      if (!this.passes(filter.onRoute(this.context, found, this))) return;
    }
    this.owner.onRouteAdmitted(found);
  }

  private passes(verdict: Verdict): boolean {
    if (verdict === undefined) return true;
    if (verdict === HELD) this.owner.onHeld();
    else this.owner.onRefused(verdict);
    return false;
  }
}
