/** Authorizers as others write them: grpc-js with Envoy's published schema, and a server of node:http. */
import { once } from 'node:events';
import { createServer, type Server as HttpServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { type handleUnaryCall, Server, ServerCredentials, status } from '@grpc/grpc-js';
import { loadSync } from '@grpc/proto-loader';
import { cluster, httpListener, type JsonObject, typed } from './pair-bootstrap.ts';

const root = dirname(dirname(dirname(fileURLToPath(import.meta.url))));
const protos = join(root, 'node_modules', '@grpc', 'grpc-js-xds', 'deps');

/** What an authorizer was told. */
export interface Asked {
  readonly method: string;
  readonly path: string;
  readonly host: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

interface CheckRequest {
  readonly attributes: {
    readonly request: {
      readonly http: {
        readonly method: string;
        readonly path: string;
        readonly host: string;
        readonly headers: Readonly<Record<string, string>>;
        readonly raw_body: Buffer;
      };
    };
  };
}

const header = (key: string, value: string, append?: boolean): JsonObject => ({
  header: { key, value },
  ...(append === undefined ? {} : { append: { value: append } }),
});

/** By the path that is asked about. */
const answers: Readonly<Record<string, JsonObject>> = {
  '/ok': {},
  '/headers': {
    ok_response: {
      headers: [header('x-user', 'ann'), header('x-list', 'two', true), header('x-none', 'new', true)],
      headers_to_remove: ['x-secret', 'host', ':path'],
      response_headers_to_add: [header('x-seen', 'yes')],
    },
  },
  '/query': {
    ok_response: { query_parameters_to_set: [{ key: 'who', value: 'ann' }], query_parameters_to_remove: ['token'] },
  },
  '/denied': {
    status: { code: 16 },
    denied_response: { status: { code: 401 }, headers: [header('www-authenticate', 'Basic')], body: 'who are you' },
  },
  '/plainly-denied': { status: { code: 7 } },
  '/redirect': {
    status: { code: 7 },
    denied_response: { status: { code: 302 }, headers: [header('location', '/login')] },
  },
  '/hostile': { ok_response: { headers: [header('x-user', 'ann\r\nx-admin: 1')] } },
};

const pathOf = (target: string): string => target.split('?')[0] ?? '';

export class GrpcAuthorizer {
  readonly asked: Asked[] = [];
  /** `traceparent` and `tracestate` of each question. */
  readonly traces: string[] = [];
  private readonly server = new Server();
  port = 0;

  async start(): Promise<void> {
    const definition = loadSync('envoy/service/auth/v3/external_auth.proto', {
      keepCase: true,
      defaults: true,
      enums: String,
      includeDirs: ['envoy-api', 'xds', 'googleapis', 'protoc-gen-validate'].map((folder) => join(protos, folder)),
    });
    const check: handleUnaryCall<CheckRequest, JsonObject> = (call, callback) => {
      const { method, path, host, headers, raw_body } = call.request.attributes.request.http;
      this.asked.push({ method, path, host, headers: headers ?? {}, body: raw_body.toString() });
      this.traces.push(['traceparent', 'tracestate'].map((name) => String(call.metadata.get(name))).join(' '));
      if (pathOf(path) === '/unavailable') callback({ code: status.UNAVAILABLE });
      else if (pathOf(path) !== '/slow') callback(null, answers[pathOf(path)] ?? {});
    };
    const service = definition['envoy.service.auth.v3.Authorization'];
    if (service === undefined || 'format' in service) throw new Error('the schema has no Authorization service');
    this.server.addService(service, { Check: check });
    this.port = await new Promise<number>((resolve, reject) => {
      this.server.bindAsync('127.0.0.1:0', ServerCredentials.createInsecure(), (error, port) =>
        error === null ? resolve(port) : reject(error),
      );
    });
  }

  stop(): void {
    this.server.forceShutdown();
  }
}

/** What it is asked is read whole before it answers. */
abstract class LoopbackServer {
  private readonly server: HttpServer;

  constructor() {
    this.server = createServer((request, response) => {
      const chunks: Buffer[] = [];
      request.on('data', (chunk: Buffer) => chunks.push(chunk));
      request.on('end', () => this.answer(request, Buffer.concat(chunks).toString(), response));
    });
  }

  protected abstract answer(request: IncomingMessage, body: string, response: ServerResponse): void;

  get port(): number {
    return (this.server.address() as AddressInfo).port;
  }

  async start(): Promise<void> {
    this.server.listen(0, '127.0.0.1');
    await once(this.server, 'listening');
  }

  stop(): void {
    this.server.close();
    this.server.closeAllConnections();
  }
}

export class HttpAuthorizer extends LoopbackServer {
  readonly asked: Asked[] = [];

  protected override answer(request: IncomingMessage, body: string, response: ServerResponse): void {
    const path = request.url ?? '';
    const headers = Object.fromEntries(Object.entries(request.headers).map(([name, value]) => [name, String(value)]));
    this.asked.push({ method: request.method ?? '', path, host: request.headers.host ?? '', headers, body });
    switch (pathOf(path).replace(/^\/check/, '')) {
      case '/headers':
        response.writeHead(200, {
          'x-user': 'ann',
          'x-other': 'no',
          'x-seen': 'yes',
          'x-envoy-auth-headers-to-remove': 'x-secret',
        });
        break;
      case '/denied':
        response.writeHead(401, { 'www-authenticate': 'Basic', 'x-reason': 'anonymous', 'x-other': 'no' });
        response.end('who are you');
        return;
      case '/redirect':
        response.writeHead(302, { location: '/login' });
        break;
      case '/unavailable':
        response.writeHead(503);
        break;
      case '/created':
        response.writeHead(201);
        break;
      case '/slow':
        return;
    }
    response.end();
  }
}

/** Names what it got, for comparisons. */
export class EchoApplication extends LoopbackServer {
  protected override answer(request: IncomingMessage, body: string, response: ServerResponse): void {
    const { 'x-user': user, 'x-list': list, 'x-none': none, 'x-secret': secret, 'x-admin': admin } = request.headers;
    const failed = request.headers['x-envoy-auth-failure-mode-allowed'];
    // Envoy makes one line of a field and sorts the parameters of a query; both mean the same (RFC 9110 section 5.3).
    const [path = '', query = ''] = (request.url ?? '').split('?');
    const parameters = query.split('&').sort();
    const values = String(list ?? '').split(/, */);
    response.end(JSON.stringify({ path, parameters, user, list: values, none, secret, admin, failed, body }));
  }
}

const exact = (...names: readonly string[]): JsonObject => ({ patterns: names.map((name) => ({ exact: name })) });
const PREFIX = 'ask_';

/** Everything but what begins with `/public` is asked about. */
const shadowRules: JsonObject = {
  name: 'rules',
  typed_config: typed('extensions.filters.http.rbac.v3.RBAC', {
    shadow_rules_stat_prefix: PREFIX,
    shadow_rules: {
      action: 'DENY',
      policies: {
        'shop/ask/all': {
          permissions: [{ not_rule: { url_path: { path: { prefix: '/public' } } } }],
          principals: [{ any: true }],
        },
      },
    },
  }),
};

const asks = (fields: JsonObject): JsonObject => ({
  name: 'envoy.filters.http.ext_authz',
  typed_config: typed('extensions.filters.http.ext_authz.v3.ExtAuthz', {
    transport_api_version: 'V3',
    filter_enabled_metadata: {
      filter: 'envoy.filters.http.rbac',
      path: [{ key: `${PREFIX}shadow_effective_policy_id` }],
      value: { string_match: { prefix: 'shop/ask/' } },
    },
    with_request_body: { max_request_bytes: 10, allow_partial_message: false, pack_as_bytes: true },
    ...fields,
  }),
});

const TIMEOUT = '0.3s';

export const grpcService = (timeout: string): JsonObject => ({
  envoy_grpc: { cluster_name: 'grpc-authorizer' },
  timeout,
});

export const grpcFilters = (fields: JsonObject = {}): readonly JsonObject[] => [
  shadowRules,
  asks({
    grpc_service: grpcService(TIMEOUT),
    validate_mutations: true,
    ...fields,
  }),
];

export const httpFilters = (fields: JsonObject = {}): readonly JsonObject[] => [
  shadowRules,
  asks({
    http_service: {
      server_uri: { uri: 'http://authorizer', cluster: 'http-authorizer', timeout: TIMEOUT },
      path_prefix: '/check',
      authorization_request: { headers_to_add: [{ key: 'x-from', value: 'proxy' }] },
      authorization_response: {
        allowed_upstream_headers: exact('x-user'),
        allowed_client_headers: exact('x-reason'),
        allowed_client_headers_on_success: exact('x-seen'),
      },
    },
    allowed_headers: exact('x-list'),
    ...fields,
  }),
];

/** Envoy's header_mutation, which takes fields off requests. */
export const removes = (...names: readonly string[]): JsonObject => ({
  name: 'removes',
  typed_config: typed('extensions.filters.http.header_mutation.v3.HeaderMutation', {
    mutations: { request_mutations: names.map((name) => ({ remove: name })) },
  }),
});

const at = (port: number) => ({ ip: '127.0.0.1', port });

export const authorizedListener = (name: string, port: number, filters: readonly JsonObject[]): JsonObject =>
  httpListener({
    name,
    at: at(port),
    direction: 'INBOUND',
    routes: [{ match: { prefix: '/' }, route: { cluster: 'app' } }],
    filters,
  });

export const authorizerClusters = (app: number, grpc: number, http: number): readonly JsonObject[] => [
  cluster({ name: 'app', endpoints: [at(app)] }),
  cluster({ name: 'http-authorizer', endpoints: [at(http)] }),
  cluster({
    name: 'grpc-authorizer',
    endpoints: [at(grpc)],
    fields: {
      typed_extension_protocol_options: {
        'envoy.extensions.upstreams.http.v3.HttpProtocolOptions': typed(
          'extensions.upstreams.http.v3.HttpProtocolOptions',
          { explicit_http_config: { http2_protocol_options: {} } },
        ),
      },
    },
  }),
];
