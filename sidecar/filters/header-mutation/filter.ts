import type { HeaderMutation } from '@weft/policies/model/route';
import type { RequestContext } from '../context.ts';
import type { RequestFilter } from '../filter.ts';
import type { HeaderFormats } from '../header-formats.ts';

/** Envoy's header_mutation of requests: no route is looked for by what it changes. */
export class HeaderMutationFilter implements RequestFilter {
  private readonly steps: readonly HeaderMutation[];
  private readonly formats: HeaderFormats;

  constructor(steps: readonly HeaderMutation[], formats: HeaderFormats) {
    this.steps = steps;
    this.formats = formats;
  }

  onRoute(context: RequestContext): undefined {
    for (const step of this.steps) this.formats.apply(context, context.head.headers, step);
    return undefined;
  }
}
