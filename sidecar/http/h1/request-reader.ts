import type { HttpLimits } from '@weft/policies/model/listener';
import { octetsAt } from '../../net/octets.ts';
import { TOKEN } from './chars.ts';
import type { HeadError } from './head-error.ts';
import {
  lineTooLong,
  type ParsedRequest,
  parseRequestHead,
  type RequestDefaults,
  requestTooLarge,
} from './parse-request.ts';
import { findHeadEnd, HEAD_INCOMPLETE, HEAD_TOO_LARGE, type ReadBuffer } from './read-buffer.ts';

/** RFC 9112 section 2.2: empty lines before a request line are ignored; some. */
const LEADING_EMPTY_LINES_MAX = 4;
const OF_START_LINES: ReadonlySet<HeadError['kind']> = new Set([
  'method',
  'target',
  'version',
  'start-line',
  'bare-cr',
]);
const CR = 0x0d;
const LF = 0x0a;

type RequestLimits = Pick<HttpLimits, 'headBytesMax' | 'headersCountMax' | 'requestLineBytesMax' | 'fieldLineBytesMax'>;

/** Finds one request head after the other in a connection's bytes. */
export class RequestReader {
  private readonly input: ReadBuffer;
  private readonly parsed: ParsedRequest;
  private readonly limits: RequestLimits;
  private readonly defaults: RequestDefaults;
  private emptyLines = 0;

  constructor(input: ReadBuffer, parsed: ParsedRequest, limits: RequestLimits, defaults: RequestDefaults) {
    this.input = input;
    this.parsed = parsed;
    this.limits = limits;
    this.defaults = defaults;
  }

  /** The bytes of the head that is now in `parsed`, and taken from the input; `nothing`: none has begun. */
  next(): number | 'nothing' | 'incomplete' | HeadError {
    const input = this.input;
    while (input.length > 0 && input.bytes[input.at] === CR) {
      if (input.length === 1) return 'nothing';
      if (input.bytes[input.at + 1] !== LF || ++this.emptyLines > LEADING_EMPTY_LINES_MAX) break;
      input.skip(2);
    }
    if (input.length === 0) return 'nothing';
    const end = findHeadEnd(input, this.limits.headBytesMax);
    if (end === HEAD_INCOMPLETE) return this.hopeless() ?? 'incomplete';
    if (end === HEAD_TOO_LARGE) return this.hopeless() ?? requestTooLarge(input, this.limits.headBytesMax);
    const text = octetsAt(input.bytes, input.at, end);
    const error = this.errorIn(text);
    if (error !== undefined) return error;
    const bytes = end + 4 - input.at;
    input.skip(bytes);
    this.emptyLines = 0;
    return bytes;
  }

  /**
   * What is wrong already with a head that has not come to its end. Who speaks TLS or SSH here, or HTTP/0.9, is not left
   * to wait for an answer that only comes when its time is over. It comes before all that is wrong further on, so that the
   * answer does not depend on how much is there.
   */
  private hopeless(): HeadError | undefined {
    const { bytes, at } = this.input;
    const lineEnd = this.input.lineEnd();
    const whole = lineEnd !== -1 && lineEnd - at <= this.limits.headBytesMax;
    if (!whole && TOKEN[bytes[at] ?? 0] === 1) return undefined;
    const text = bytes.toString('latin1', at, whole ? lineEnd : at + 1);
    const error = this.errorIn(text);
    return error !== undefined && OF_START_LINES.has(error.kind) ? error : undefined;
  }

  private errorIn(text: string): HeadError | undefined {
    const tooLong = this.lineError(text);
    if (tooLong?.kind === 'target-too-long') return tooLong;
    const error = parseRequestHead(text, this.limits.headersCountMax, this.defaults, this.parsed);
    return error !== undefined && OF_START_LINES.has(error.kind) ? error : (tooLong ?? error);
  }

  private lineError(text: string): HeadError | undefined {
    const { requestLineBytesMax, fieldLineBytesMax } = this.limits;
    if (requestLineBytesMax === 0 && fieldLineBytesMax === 0) return undefined;
    return lineTooLong(text, requestLineBytesMax, fieldLineBytesMax);
  }
}
