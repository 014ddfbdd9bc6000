import { BODY_REPLAY_BYTES_DEFAULT } from '@weft/policies/model/retry';
import type { Downstream, Upstream } from '../../http/exchange.ts';
import type { Headers } from '../../http/headers.ts';

/** What all bodies of a thread that are larger than usual may take together. */
const LARGE_BODIES_BYTES_MAX = 67_108_864;

let largeBodiesBytes = 0;

/**
 * The body of a request on its way to whichever attempt is under way. Until there is one it is held, and the client's
 * credits are not returned, which bounds what comes. After that it is kept for a replay as long as it is small.
 */
export class RequestBody {
  /** All of it has come in. */
  ended: boolean;
  /** Everything that came so far is still held, so that another attempt can begin from the start. */
  replayable = true;
  /** A body is replayed only while all of it is held, and no more than this is held. */
  replayBytesMax = BODY_REPLAY_BYTES_DEFAULT;
  /** Filters may put exchanges of their own around it. */
  private readonly request: { readonly exchange: Downstream };
  private held: Buffer[] | undefined = undefined;
  private heldBytes = 0;
  private trailers: Headers | undefined = undefined;
  private upstream: Upstream | undefined = undefined;
  /** Came in while no attempt could take it; credits not returned yet. */
  private unreturnedBytes = 0;

  constructor(request: { readonly exchange: Downstream }) {
    this.request = request;
    this.ended = request.exchange.endOfRequest;
  }

  onData(chunk: Buffer, end: boolean): void {
    if (end) this.ended = true;
    if (this.replayable) this.hold(chunk);
    if (this.upstream === undefined) {
      this.unreturnedBytes += chunk.length;
      return;
    }
    if (this.upstream.write(chunk, end)) this.request.exchange.consumed(chunk.length);
    else this.unreturnedBytes += chunk.length;
    this.dropWhatIsTooLarge();
  }

  onTrailers(trailers: Headers): void {
    this.ended = true;
    this.trailers = trailers;
    this.upstream?.trailers(trailers);
  }

  /** Sends what is held and from then on everything that comes. Not for a request without body. */
  attach(upstream: Upstream): void {
    this.upstream = upstream;
    if (this.sendHeld(upstream)) this.onWritable();
    this.dropWhatIsTooLarge();
  }

  /** True if the last of it may be followed by more. */
  sendHeld(to: Pick<Upstream, 'write' | 'trailers'>): boolean {
    const held = this.held;
    let writable = true;
    if (held !== undefined) {
      const endAt = this.ended && this.trailers === undefined ? held.length - 1 : -1;
      for (let i = 0; i < held.length; i++) {
        const chunk = held[i];
        if (chunk !== undefined) writable = to.write(chunk, i === endAt);
      }
    }
    if (this.trailers !== undefined) to.trailers(this.trailers);
    return writable;
  }

  /** The attempt is over; what comes is held until the next one. */
  detach(): void {
    this.upstream = undefined;
  }

  /** The upstream takes more. */
  onWritable(): void {
    const bytes = this.unreturnedBytes;
    this.unreturnedBytes = 0;
    if (bytes > 0) this.request.exchange.consumed(bytes);
  }

  /** There will be no other attempt. */
  release(): void {
    this.replayable = false;
    this.held = undefined;
    if (this.heldBytes > BODY_REPLAY_BYTES_DEFAULT) largeBodiesBytes -= this.heldBytes;
    this.heldBytes = 0;
  }

  private hold(chunk: Buffer): void {
    this.held ??= [];
    this.held.push(chunk);
    const before = this.heldBytes;
    this.heldBytes += chunk.length;
    if (this.heldBytes > BODY_REPLAY_BYTES_DEFAULT) {
      largeBodiesBytes += before > BODY_REPLAY_BYTES_DEFAULT ? chunk.length : this.heldBytes;
    }
  }

  /** Only once an attempt has it: what was not sent yet is never dropped. */
  private dropWhatIsTooLarge(): void {
    const isLarge = this.heldBytes > BODY_REPLAY_BYTES_DEFAULT;
    if (this.heldBytes > this.replayBytesMax || (isLarge && largeBodiesBytes > LARGE_BODIES_BYTES_MAX)) this.release();
  }
}
