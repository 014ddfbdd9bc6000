import type { ExtAuthz } from '@weft/policies/model/ext-authz';
import type { StringMatch } from '@weft/policies/model/match';
import type { RequestHead } from '../../http/exchange.ts';
import { StringMatcher } from '../../route/pattern.ts';

/** Names of fields, of which any may be meant. */
export class NameList {
  private readonly matchers: readonly StringMatcher[];

  constructor(matches: readonly StringMatch[]) {
    this.matchers = matches.map((match) => new StringMatcher(match));
  }

  has(lower: string): boolean {
    return this.matchers.some((matcher) => matcher.test(lower));
  }
}

/** What an HTTP authorizer is shown whatever is allowed, beside method, path and host. */
const ALWAYS = 'authorization';

/** Fields of a request that an authorizer may see. */
export class ShownFields {
  private readonly allowed: NameList | undefined;
  private readonly disallowed: NameList;
  private readonly all: boolean;
  private readonly kind: ExtAuthz['service']['kind'];

  constructor({ service, allowedHeaders, disallowedHeaders }: ExtAuthz) {
    this.kind = service.kind;
    this.all = service.kind === 'grpc' && allowedHeaders === undefined;
    this.allowed = allowedHeaders && new NameList(allowedHeaders);
    this.disallowed = new NameList(disallowedHeaders);
  }

  /** By their lower-case names; those of one name become one, as RFC 9110 section 5.3 lets them. */
  of(head: RequestHead): Map<string, string> {
    const shown = new Map<string, string>();
    if (this.kind === 'grpc') {
      this.add(shown, ':authority', head.authority);
      this.add(shown, ':method', head.method);
      this.add(shown, ':path', head.path);
      this.add(shown, ':scheme', head.scheme);
      if (head.contentLength > 0) this.add(shown, 'content-length', String(head.contentLength));
    }
    head.headers.forEach((_, value, lower) => {
      this.add(shown, lower, value);
    });
    return shown;
  }

  private add(shown: Map<string, string>, lower: string, value: string): void {
    if (!this.shows(lower)) return;
    const before = shown.get(lower);
    // Cookies are the one field whose pieces are not separated by commas (RFC 6265 section 5.4).
    const separator = lower === 'cookie' ? '; ' : ',';
    shown.set(lower, before === undefined ? value : `${before}${separator}${value}`);
  }

  private shows(lower: string): boolean {
    if (this.disallowed.has(lower)) return false;
    return this.all || (this.kind === 'http' && lower === ALWAYS) || this.allowed?.has(lower) === true;
  }
}
