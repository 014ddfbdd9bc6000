import type { HttpAuthorizer } from '@weft/policies/model/ext-authz';
import type { HeaderValue } from '@weft/policies/model/route';
import type { RequestHead } from '../../http/exchange.ts';
import { Headers } from '../../http/headers.ts';
import type { RequestContext } from '../context.ts';
import type { AuthorizerAnswer } from './call.ts';
import type { ShownHeaders } from './check-messages.ts';
import { isNotItsOwn, type Judgement, type ResponseChange } from './judgement.ts';
import { NameList } from './shown-headers.ts';
import { traceInto } from './trace-context.ts';

const OK = 200;
/** Names of fields that the request loses, with commas between them. */
const REMOVES = 'x-envoy-auth-headers-to-remove';
/** With any list of what the client may get, it gets these too. */
const ALWAYS_TO_CLIENT: ReadonlySet<string> = new Set(['www-authenticate', 'location', 'proxy-authenticate']);

/** An authorizer that is asked with the head of the request itself, and answers by its status. */
export class HttpService {
  private readonly settings: HttpAuthorizer;
  private readonly upstream: NameList;
  private readonly upstreamToAppend: NameList;
  private readonly client: NameList | undefined;
  private readonly clientOnSuccess: NameList;

  constructor(settings: HttpAuthorizer) {
    this.settings = settings;
    this.upstream = new NameList(settings.upstreamHeaders);
    this.upstreamToAppend = new NameList(settings.upstreamHeadersToAppend);
    this.client = settings.clientHeaders && new NameList(settings.clientHeaders);
    this.clientOnSuccess = new NameList(settings.clientHeadersOnSuccess);
  }

  headOf(context: RequestContext, shown: ShownHeaders, bodyBytes: number): RequestHead {
    const request = context.head;
    const headers = new Headers();
    for (const [name, value] of shown) headers.append(name, value);
    for (const { name, value } of this.settings.headersToAdd) headers.set(name, value);
    traceInto(headers, context);
    return {
      method: request.method === 'CONNECT' ? 'GET' : request.method,
      scheme: 'http',
      authority: request.authority,
      path: `${this.settings.pathPrefix}${request.path}`,
      protocol: undefined,
      headers,
      version: 11,
      contentLength: bodyBytes,
      expectContinue: false,
    };
  }

  judge({ status, headers, body }: AuthorizerAnswer): Judgement {
    if (status >= 500) return { kind: 'failed', detail: `the authorizer answered ${status}` };
    return status === OK ? this.allowed(headers) : this.denied(status, headers, body);
  }

  private allowed(headers: Headers): Judgement {
    const set: HeaderValue[] = [];
    const append: HeaderValue[] = [];
    const response: ResponseChange[] = [];
    const remove: string[] = [];
    headers.forEach((name, value, lower) => {
      if (lower === REMOVES) remove.push(...value.split(',').map((one) => one.trim()));
      if (isNotItsOwn(lower)) return;
      if (this.upstream.has(lower)) set.push({ name, value });
      if (this.upstreamToAppend.has(lower)) append.push({ name, value });
      if (this.clientOnSuccess.has(lower)) response.push({ name, value, action: 'add' });
    });
    const mayGo = remove.filter((name) => !isNotItsOwn(name));
    return {
      kind: 'allowed',
      set,
      append,
      addIfAbsent: [],
      remove: mayGo,
      querySet: [],
      queryRemove: [],
      response,
      ignored: remove.length - mayGo.length,
    };
  }

  private denied(status: number, headers: Headers, body: Buffer): Judgement {
    if (status < 200) return { kind: 'failed', detail: `status ${status} ends no request` };
    const set: HeaderValue[] = [];
    const add: HeaderValue[] = [];
    const seen = new Set<string>();
    headers.forEach((name, value, lower) => {
      if (isNotItsOwn(lower) || !this.goesToClient(lower)) return;
      (seen.has(lower) ? add : set).push({ name, value });
      seen.add(lower);
    });
    return { kind: 'denied', status, set, add, body: body.toString() };
  }

  private goesToClient(lower: string): boolean {
    return this.client === undefined || ALWAYS_TO_CLIENT.has(lower) || this.client.has(lower);
  }
}
