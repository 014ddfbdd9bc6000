import type { Prng } from '@weft/policies/kit/prng';
import type { FaultAbort, HttpFault } from '@weft/policies/model/fault';
import type { Fraction } from '@weft/policies/model/fraction';
import { isAmong } from '@weft/policies/model/fraction';
import type { RequestHead } from '../../http/exchange.ts';
import { HeaderMatcher } from '../../route/fields.ts';

/**
 * Fields by which a request asks for a fault, where the configuration lets it (Envoy's "controlling fault injection via
 * HTTP headers").
 */
const DELAY = 'x-envoy-fault-delay-request';
const ABORT = 'x-envoy-fault-abort-request';
const GRPC_ABORT = 'x-envoy-fault-abort-grpc-request';
const THROUGHPUT = 'x-envoy-fault-throughput-response';

const NUMBER_MAX = 4_294_967_295;

function numberIn({ headers }: RequestHead, name: string): number | undefined {
  const text = headers.get(name);
  if (text === undefined || !/^[0-9]{1,10}$/.test(text)) return undefined;
  const value = Number(text);
  return value <= NUMBER_MAX ? value : undefined;
}

/** The request may ask for less than the share, never for more. */
function askedShare(head: RequestHead, name: string, share: Fraction): Fraction {
  const asked = numberIn(head, `${name}-percentage`);
  return asked === undefined || asked >= share.numerator ? share : { ...share, numerator: asked };
}

export type AbortStatus = Exclude<FaultAbort['status'], { readonly kind: 'header' }>;

/** A fault ready to be asked of each request; made once for each configuration. */
export class FaultSettings {
  readonly fault: HttpFault;
  private readonly headers: readonly HeaderMatcher[];

  constructor(fault: HttpFault) {
    this.fault = fault;
    this.headers = fault.headers.map((match) => new HeaderMatcher(match));
  }

  /** Nothing would ever be done. */
  get isEmpty(): boolean {
    const { delay, abort, responseRate, reset, requestRate } = this.fault;
    return (delay ?? abort ?? responseRate ?? reset ?? requestRate) === undefined;
  }

  matches(head: RequestHead): boolean {
    for (const header of this.headers) if (!header.test(head)) return false;
    return true;
  }

  /** 0: none. */
  delayMs(head: RequestHead, prng: Prng): number {
    const { delay } = this.fault;
    if (delay === undefined) return 0;
    if (delay.delayMs !== 'header') return isAmong(delay.share, prng) ? delay.delayMs : 0;
    const asked = numberIn(head, DELAY);
    return asked !== undefined && isAmong(askedShare(head, DELAY, delay.share), prng) ? asked : 0;
  }

  abort(head: RequestHead, prng: Prng): AbortStatus | undefined {
    const { abort } = this.fault;
    if (abort === undefined) return undefined;
    const { status, share } = abort;
    if (status.kind !== 'header') return isAmong(share, prng) ? status : undefined;
    const asked = askedAbort(head);
    return asked !== undefined && isAmong(askedShare(head, ABORT, share), prng) ? asked : undefined;
  }

  resets(prng: Prng): boolean {
    const { reset } = this.fault;
    return reset !== undefined && isAmong(reset.share, prng);
  }

  /** KiB a second; 0: as fast as it goes. */
  responseRate(head: RequestHead, prng: Prng): number {
    const { responseRate: rate } = this.fault;
    if (rate === undefined) return 0;
    if (rate.kibPerSecond !== 'header') return isAmong(rate.share, prng) ? rate.kibPerSecond : 0;
    const asked = numberIn(head, THROUGHPUT);
    return asked !== undefined && isAmong(askedShare(head, THROUGHPUT, rate.share), prng) ? asked : 0;
  }

  requestRate(prng: Prng): number {
    const { requestRate: rate } = this.fault;
    return rate !== undefined && isAmong(rate.share, prng) ? rate.kibPerSecond : 0;
  }
}

function askedAbort(head: RequestHead): AbortStatus | undefined {
  const status = numberIn(head, ABORT);
  if (status !== undefined && status >= 200 && status < 600) return { kind: 'http', code: status };
  const code = numberIn(head, GRPC_ABORT);
  return code === undefined ? undefined : { kind: 'grpc', code };
}
