import type { Recorder } from '../../telemetry/record.ts';
import type { RequestContext } from '../context.ts';
import type { RequestFilter } from '../filter.ts';

/**
 * Takes fields off each request before anything reads them: an application believes of them what an authorizer says, and
 * an authorizer is not asked about every request.
 */
export class ReservedHeadersFilter implements RequestFilter {
  private readonly isReserved: (lower: string) => boolean;
  private readonly recorder: Recorder;

  constructor(isReserved: (lower: string) => boolean, recorder: Recorder) {
    this.isReserved = isReserved;
    this.recorder = recorder;
  }

  onRequest({ head: { headers } }: RequestContext): undefined {
    const before = headers.length;
    headers.removeWhere(this.isReserved);
    if (headers.length < before) this.recorder.count('header.reserved_stripped');
    return undefined;
  }
}

/** Envoy's header_mutation: these names and no others. */
export class HeaderRemovalFilter implements RequestFilter {
  private readonly names: readonly string[];

  constructor(names: readonly string[]) {
    this.names = names;
  }

  onRequest({ head }: RequestContext): undefined {
    for (const name of this.names) head.headers.remove(name);
    return undefined;
  }
}
