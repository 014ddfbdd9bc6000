import type { HttpFilter } from '@weft/policies/model/listener';
import { fieldSubject } from '@weft/policies/model/reserved-headers';
import type { Headers } from '../http/headers.ts';
import type { Recorder } from '../telemetry/record.ts';
import { isForwarded } from './headers/names.ts';
import { HOP_FIELD } from './hop/header.ts';
import { reservedNames } from './reserved/names.ts';

const REQUEST_ID = 'x-request-id';

/**
 * Fields that no client may put in trailers (RFC 9110 section 6.5.1): servers that merge those into the header section
 * would believe of them what they believe of the headers that a filter has settled.
 */
export class TrailerRules {
  private readonly recorder: Recorder;
  private readonly own = new Set<string>();
  private readonly reserved: readonly ((lower: string) => boolean)[];

  constructor(filters: readonly HttpFilter[], recorder: Recorder) {
    this.recorder = recorder;
    const reserved: ((lower: string) => boolean)[] = [];
    for (const filter of filters) {
      if (filter.kind === 'reservedHeaders') reserved.push(reservedNames(filter.reserved));
      else if (filter.kind === 'headerRemoval') for (const name of filter.headers) this.own.add(fieldSubject(name));
      else if (filter.kind === 'headerMutation') {
        for (const { remove } of filter.request) for (const name of remove) this.own.add(fieldSubject(name));
      } else if (filter.kind === 'jwt') {
        for (const { claimHeaders } of filter.jwt.providers) {
          for (const { header } of claimHeaders) this.own.add(fieldSubject(header));
        }
      }
    }
    this.reserved = reserved;
  }

  apply(trailers: Headers): void {
    const before = trailers.length;
    trailers.removeWhere((lower) => this.forbids(lower));
    for (let left = before - trailers.length; left > 0; left--) this.recorder.count('trailer.stripped');
  }

  private forbids(lower: string): boolean {
    if (isForwarded(lower)) return true;
    const subject = fieldSubject(lower);
    if (subject === REQUEST_ID || subject === HOP_FIELD || this.own.has(subject)) return true;
    return this.reserved.some((isReserved) => isReserved(lower));
  }
}
