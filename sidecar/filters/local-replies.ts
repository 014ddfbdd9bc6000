import type { LocalReplies as LocalRepliesModel, LocalReplyFormat } from '@weft/policies/model/local-reply';
import type { HeaderMutation } from '@weft/policies/model/route';
import type { Headers } from '../http/headers.ts';
import type { LogEntry } from '../telemetry/log/entry.ts';
import { compileFilter, type PassesFilter } from '../telemetry/log/filter.ts';
import { compileFormat, type WriteLine } from '../telemetry/log/format.ts';
import type { OperatorPorts } from '../telemetry/log/operators.ts';
import type { RequestRecord } from '../telemetry/record.ts';
import type { RequestContext } from './context.ts';
import type { HeaderFormats } from './header-formats.ts';

interface Body {
  readonly write: WriteLine;
  readonly contentType: string;
}

interface Mapper {
  readonly passes: PassesFilter;
  readonly status: number | undefined;
  readonly text: string | undefined;
  readonly body: Body | undefined;
  readonly headers: HeaderMutation;
}

/** A reply that is about to be sent. */
export interface LocalReply {
  status: number;
  body: string;
  /** Of the body, unless a header says otherwise; empty: nothing is said. */
  contentType: string;
}

/** Changes responses of our own as a connection manager wants it (Envoy's `local_reply_config`). */
export class LocalReplies {
  private readonly mappers: readonly Mapper[];
  private readonly body: Body | undefined;
  private readonly describe: (context: RequestContext) => RequestRecord;

  /** `describe`: the record of a request as far as it is known. */
  constructor(model: LocalRepliesModel, ports: OperatorPorts, describe: (context: RequestContext) => RequestRecord) {
    this.describe = describe;
    this.body = model.body && compileBody(model.body, ports);
    this.mappers = model.mappers.map(({ filter, status, text, body, headers }) => ({
      passes: compileFilter(filter),
      status,
      text,
      body: body && compileBody(body, ports),
      headers,
    }));
  }

  /** Headers are those that go with it; what a mapper adds is put there. */
  rewrite(formats: HeaderFormats, context: RequestContext, reply: LocalReply, headers: Headers): void {
    // Filters ask for the status, and formats for the response, as they would be without us.
    context.status = reply.status;
    context.responseHeaders = headers;
    const entry: LogEntry = { record: this.describe(context), http: context, ends: context, localReplyBody: undefined };
    const mapper = this.mappers.find(({ passes }) => passes(entry));
    if (mapper?.text !== undefined) reply.body = mapper.text;
    if (mapper !== undefined) formats.apply(context, headers, mapper.headers);
    if (mapper?.status !== undefined) {
      reply.status = mapper.status;
      context.status = mapper.status;
    }
    const body = mapper?.body ?? this.body;
    if (body === undefined) return;
    // What we say of an error ends its line, which is none of what it says.
    entry.localReplyBody = context.flag === '' ? reply.body : reply.body.replace(/\n$/, '');
    reply.body = body.write(entry);
    reply.contentType = body.contentType;
  }
}

const compileBody = ({ format, contentType }: LocalReplyFormat, ports: OperatorPorts): Body => ({
  write: compileFormat(format, ports),
  contentType,
});
