import type { GrpcAuthorizer } from '@weft/policies/model/ext-authz';
import { frameMessage, MessageReader } from '../../grpc/messages.ts';
import type { RequestHead } from '../../http/exchange.ts';
import { GrpcCode, grpcStatusOf } from '../../http/grpc-status.ts';
import { Headers } from '../../http/headers.ts';
import type { RequestContext } from '../context.ts';
import { ANSWER_BYTES_MAX, type AuthorizerAnswer } from './call.ts';
import { type CheckedBody, decodeCheckResponse, encodeCheckRequest, type ShownHeaders } from './check-messages.ts';
import type { Judgement } from './judgement.ts';
import { traceInto } from './trace-context.ts';

const CHECK = '/envoy.service.auth.v3.Authorization/Check';

/** An authorizer that speaks `envoy.service.auth.v3`. */
export class GrpcService {
  private readonly settings: GrpcAuthorizer;
  private readonly timeoutMs: number;

  constructor(settings: GrpcAuthorizer, timeoutMs: number) {
    this.settings = settings;
    this.timeoutMs = timeoutMs;
  }

  head(context: RequestContext): RequestHead {
    const headers = Headers.from(['content-type', 'application/grpc', 'te', 'trailers']);
    headers.append('grpc-timeout', `${this.timeoutMs}m`);
    for (const { name, value } of this.settings.metadata) headers.append(name, value);
    traceInto(headers, context);
    return {
      method: 'POST',
      scheme: 'http',
      authority: this.settings.authority === '' ? this.settings.cluster : this.settings.authority,
      path: CHECK,
      protocol: undefined,
      headers,
      version: 20,
      contentLength: -1,
      expectContinue: false,
    };
  }

  message(context: RequestContext, shown: ShownHeaders, body: CheckedBody | undefined, identity: string): Buffer {
    return frameMessage(encodeCheckRequest(context, shown, body, identity));
  }

  judge({ status, headers, body, trailers }: AuthorizerAnswer): Judgement {
    if (status !== 200) return failed(`the authorizer answered HTTP status ${status}`);
    const code = grpcStatusOf(trailers ?? headers);
    if (code !== GrpcCode.ok) return failed(`the authorizer answered gRPC status ${code}`);
    const messages: Buffer[] = [];
    const reader = new MessageReader(ANSWER_BYTES_MAX, (message) => messages.push(message));
    const wrong = reader.push(body);
    if (wrong !== undefined) return failed(wrong);
    const [message] = messages;
    if (messages.length !== 1 || message === undefined || !reader.atBoundary) return failed('no whole message');
    return decodeCheckResponse(message);
  }
}

const failed = (detail: string): Judgement => ({ kind: 'failed', detail });
