import type { RequestHead } from '../exchange.ts';
import { allOf, isAuthority, isToken, TARGET } from '../h1/chars.ts';
import { onlyContinue } from '../h1/parse-request.ts';
import { Headers } from '../headers.ts';
import { FieldCollector, type HeadLimits, printable } from './field-collector.ts';
import { type H2Error, h2Error, h2ErrorOf } from './h2-error.ts';
import { type Field, FieldKind } from './hpack/field.ts';

const METHOD_CHARS_MAX = 32;
/** What an HTTP/1 request line has besides method and target: two spaces and the version. */
const REQUEST_LINE_OVERHEAD = 10;
/** What an HTTP/1 field line has besides name and value: colon and space. */
const FIELD_LINE_OVERHEAD = 2;
const PORT = /:\d+$/;
const TRACE_SECTION = 'RFC 9110 section 9.3.8';
/** RFC 9110 section 7.8: the name of one protocol, which may have a version. */
const PROTOCOL = /^(?=.{1,64}$)[!#$%&'*+\-.^_`|~0-9A-Za-z]+(?:\/[!#$%&'*+\-.^_`|~0-9A-Za-z]+)?$/;
/** RFC 9113 section 3.1 has withdrawn it; behind an HTTP/1 Upgrade it would hide requests from policy. */
const CLEARTEXT_HTTP2 = 'h2c';

/** As lines of HTTP/1 would be; 0: what the head may have. */
interface RequestLimits extends HeadLimits {
  readonly requestLineBytesMax: number;
  readonly fieldLineBytesMax: number;
}

/** Collects and judges the head of a request (RFC 9113 sections 8.2, 8.3 and 8.5, RFC 8441). One a connection. */
export class RequestFields extends FieldCollector {
  /** Undefined: lines have no limit of their own. */
  private readonly lines: RequestLimits | undefined;
  private readonly mesh: boolean;
  private readonly connectProtocol: boolean;
  private readonly anyAuthority: boolean;
  private method = '';
  private scheme = '';
  private authority = '';
  private path = '';
  private protocol = '';
  private version: 10 | 11 | 20 = 20;
  /** Bits of the pseudo-fields that came, by FieldKind. */
  private seen = 0;
  private host = '';
  private hosts = 0;
  private cookie = '';
  private cookieSeen = false;
  private expectContinue = false;
  private validMethod = 'GET';
  private validAuthority: string | undefined = undefined;

  /** `connectProtocol`: extended CONNECT was announced. */
  constructor(limits: RequestLimits, mesh: boolean, connectProtocol: boolean, anyAuthority = false) {
    super(limits);
    this.lines = limits.requestLineBytesMax > 0 || limits.fieldLineBytesMax > 0 ? limits : undefined;
    this.anyAuthority = anyAuthority;
    this.mesh = mesh;
    this.connectProtocol = connectProtocol;
  }

  override begin(): void {
    super.begin();
    this.scheme = '';
    this.authority = '';
    this.path = '';
    this.protocol = '';
    this.version = 20;
    this.seen = 0;
    this.host = '';
    this.hosts = 0;
    this.cookie = '';
    this.cookieSeen = false;
    this.expectContinue = false;
  }

  protected override pseudo(field: Field): void {
    const { kind, value } = field;
    const bit = 1 << kind;
    if ((this.seen & bit) !== 0) {
      this.fail('pseudo-field', `${field.name} more than once`);
      return;
    }
    this.seen |= bit;
    switch (kind) {
      case FieldKind.METHOD:
        this.method = value;
        return;
      case FieldKind.SCHEME:
        this.scheme = value;
        return;
      case FieldKind.AUTHORITY:
        this.authority = value;
        return;
      case FieldKind.PATH:
        this.path = value;
        return;
      case FieldKind.PROTOCOL:
        if (this.connectProtocol) this.protocol = value;
        else this.fail('pseudo-field', ':protocol, which was not announced (RFC 8441 section 3)');
        return;
      case FieldKind.WEFT_VERSION:
        if (this.mesh && (value === '1.1' || value === '1.0')) this.version = value === '1.1' ? 11 : 10;
        else this.fail('pseudo-field', ':weft-version, which is for sidecars');
        return;
      default:
        this.fail('pseudo-field', `${printable(field.name)} in a request`);
    }
  }

  protected override special(field: Field): void {
    switch (field.kind) {
      case FieldKind.HOST:
        this.hosts++;
        this.host = field.value;
        return;
      case FieldKind.COOKIE:
        // RFC 9113 section 8.2.3: crumbs are one field again before they leave HTTP/2; empty ones add nothing.
        if (!this.cookieSeen) {
          this.cookieSeen = true;
          this.cookie = field.value;
          this.append(field);
        } else if (this.cookie === '') {
          this.cookie = field.value;
          this.headers.set(field.name, this.cookie);
        } else if (field.value !== '') {
          this.cookie += `; ${field.value}`;
          this.headers.set(field.name, this.cookie);
        }
        return;
      case FieldKind.EXPECT:
        // Read in another way further on, an expectation ends a request where it does not end (0.CL).
        if (!onlyContinue(field.value)) this.fail('expectation', 'an expectation other than 100-continue');
        else if (field.value !== '') this.expectContinue = true;
        return;
      case FieldKind.FRAMING_ALIAS:
        this.fail('framing-alias', `${field.lower} frames the message where "_" is taken for "-"`);
        return;
      default:
        super.special(field);
    }
  }

  /** Judges the whole. The head, if there is no error. */
  finish(endStream: boolean): RequestHead | undefined {
    if (this.error !== undefined) return undefined;
    this.error = this.targetError() ?? this.authorityError();
    if (this.lines !== undefined) this.error ??= this.lineError(this.lines);
    const tunnel = this.has(FieldKind.PROTOCOL) || this.method === 'CONNECT';
    const contentLength = tunnel || (endStream && this.contentLength === -1) ? 0 : this.contentLength;
    if (endStream && contentLength > 0) this.fail('content-length', 'content-length without content');
    if (this.method === 'TRACE' && !endStream) this.error ??= h2ErrorOf('method', TRACE_SECTION, 'TRACE with content');
    if (this.error !== undefined) return undefined;
    const connect = this.method === 'CONNECT';
    const extended = this.has(FieldKind.PROTOCOL);
    return {
      // What HTTP/1 calls an Upgrade: of the method GET as far as its rules are concerned (RFC 8441 section 5).
      method: connect && extended ? 'GET' : this.method,
      scheme: this.scheme === 'https' ? 'https' : 'http',
      authority: this.authority,
      path: this.path,
      protocol: extended ? this.protocol : connect ? '' : undefined,
      headers: this.headers,
      version: this.version,
      contentLength,
      expectContinue: this.expectContinue && !endStream && !tunnel,
    };
  }

  private has(kind: FieldKind): boolean {
    return (this.seen & (1 << kind)) !== 0;
  }

  private targetError(): H2Error | undefined {
    if (!this.has(FieldKind.METHOD)) return h2Error('pseudo-field', 'no :method');
    if (this.method !== this.validMethod) {
      if (!isToken(this.method)) return h2Error('method', 'not a method');
      if (this.method.length > METHOD_CHARS_MAX)
        return h2Error('method-too-long', `a method of more than ${METHOD_CHARS_MAX} characters`);
      this.validMethod = this.method;
    }
    const extended = this.has(FieldKind.PROTOCOL);
    if (this.method === 'CONNECT' && !extended) {
      if (this.has(FieldKind.SCHEME) || this.has(FieldKind.PATH))
        return h2Error('connect', 'CONNECT with :scheme or :path');
      if (!PORT.test(this.authority)) return h2Error('connect', ':authority of CONNECT is not host:port');
      return this.contentLength === -1 ? undefined : h2Error('connect', 'CONNECT with content-length');
    }
    if (extended) {
      // Between sidecars the method of an HTTP/1 Upgrade is kept.
      if (this.method !== 'CONNECT' && !this.mesh) return h2Error('extended-connect', ':protocol without CONNECT');
      if (!PROTOCOL.test(this.protocol)) return h2Error('extended-connect', ':protocol is not a protocol');
      if (this.protocol.toLowerCase() === CLEARTEXT_HTTP2) return h2Error('extended-connect', ':protocol h2c');
    }
    if (!this.has(FieldKind.SCHEME)) return h2Error('pseudo-field', 'no :scheme');
    if (this.scheme !== 'http' && this.scheme !== 'https')
      return h2Error('scheme', ':scheme is neither http nor https');
    if (!this.has(FieldKind.PATH)) return h2Error('pseudo-field', 'no :path');
    const path = this.path;
    const asterisk = path === '*' && this.method === 'OPTIONS';
    if (!asterisk && (path.charCodeAt(0) !== 0x2f || !allOf(TARGET, path, 0, path.length))) {
      return h2Error('path', ':path does not begin with / or has an octet that may not be in one');
    }
    return undefined;
  }

  /** A head is too large by its target alone (RFC 9110 section 4.1) or by all that it has. */
  protected override tooLarge(field: Field, bytesMax: number): H2Error {
    if (field.kind !== FieldKind.PATH || field.sizeBytes <= bytesMax) return super.tooLarge(field, bytesMax);
    return h2Error('target-too-long', `the request target is longer than ${bytesMax} bytes`);
  }

  private lineError({ requestLineBytesMax, fieldLineBytesMax }: RequestLimits): H2Error | undefined {
    const target = this.method === 'CONNECT' ? this.authority : this.path;
    if (requestLineBytesMax > 0 && this.method.length + target.length + REQUEST_LINE_OVERHEAD > requestLineBytesMax) {
      return h2Error('target-too-long', `the request line is longer than ${requestLineBytesMax} bytes`);
    }
    const { headers } = this;
    for (let i = 0; fieldLineBytesMax > 0 && i < headers.length; i++) {
      const bytes = headers.nameAt(i).length + headers.valueAt(i).length + FIELD_LINE_OVERHEAD;
      if (bytes > fieldLineBytesMax) {
        return h2Error('field-too-long', `a field line is longer than ${fieldLineBytesMax} bytes`);
      }
    }
    return undefined;
  }

  /** RFC 9113 section 8.3.1: one authority, without userinfo; Host says the same or nothing. */
  private authorityError(): H2Error | undefined {
    if (this.anyAuthority) return undefined;
    if (this.hosts > 1) return h2Error('authority', 'more than one host');
    if (!this.has(FieldKind.AUTHORITY)) {
      if (this.hosts === 0) return h2Error('authority', 'neither :authority nor host');
      this.authority = this.host;
    } else if (this.hosts === 1 && this.host.toLowerCase() !== this.authority.toLowerCase()) {
      return h2Error('authority', 'host and :authority differ');
    }
    // Mostly the one of before, as the same string from the table.
    if (this.authority === this.validAuthority) return undefined;
    if (this.authority === '' || !isAuthority(this.authority)) {
      return h2Error('authority', ':authority is not a host with an optional port');
    }
    this.validAuthority = this.authority;
    return undefined;
  }
}

/** Of a request whose head cannot be told. */
export function noHead(): RequestHead {
  return {
    method: '',
    scheme: 'http',
    authority: '',
    path: '',
    protocol: undefined,
    headers: new Headers(),
    version: 20,
    contentLength: 0,
    expectContinue: false,
  };
}
