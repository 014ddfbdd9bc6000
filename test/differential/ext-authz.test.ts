/** Authorizers outside of the proxy, asked by Weft and by a real Envoy on one bootstrap: the same questions, the same ends. */
import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import {
  type Asked,
  authorizedListener,
  authorizerClusters,
  EchoApplication,
  GrpcAuthorizer,
  grpcFilters,
  HttpAuthorizer,
  httpFilters,
  removes,
} from '../support/authorizer.ts';
import { startEnvoy } from '../support/envoy.ts';
import { bootstrap } from '../support/pair-bootstrap.ts';
import { curl } from '../support/pair-curl.ts';
import { freePort, type Program } from '../support/pair-process.ts';
import { startSidecar, testFolder } from '../support/pair-sidecar.ts';

const folder = testFolder('ext-authz');
const app = new EchoApplication();
const grpc = new GrpcAuthorizer();
const http = new HttpAuthorizer();
const programs: Program[] = [];
const listeners = {
  grpc: grpcFilters(),
  http: httpFilters(),
  'grpc-open': grpcFilters({ failure_mode_allow: true, failure_mode_allow_header_add: true }),
  'http-reserved': [removes('x-user', 'x_user'), ...httpFilters()],
  'http-status': httpFilters({ status_on_error: { code: 'ServiceUnavailable' } }),
} as const;
type ListenerName = keyof typeof listeners;
const names = Object.keys(listeners) as ListenerName[];
const ports: { [Kind in 'weft' | 'envoy']: Map<ListenerName, number> } = { weft: new Map(), envoy: new Map() };

before(async () => {
  await Promise.all([app.start(), grpc.start(), http.start()]);
  const clusters = authorizerClusters(app.port, grpc.port, http.port);
  for (const kind of ['weft', 'envoy'] as const) {
    const made = [];
    for (const name of names) {
      const port = await freePort();
      ports[kind].set(name, port);
      made.push(authorizedListener(name, port, listeners[name]));
    }
    const adminPort = await freePort();
    const text = bootstrap({ id: kind, adminPort, listeners: made, clusters });
    programs.push(kind === 'weft' ? await startSidecar(folder, text) : await startEnvoy(folder, text, adminPort));
  }
});

after(async () => {
  for (const program of programs) await program.stop();
  grpc.stop();
  http.stop();
  app.stop();
  rmSync(folder, { recursive: true, force: true });
});

/** What the proxies add by themselves is not what this is about. */
const ofTheProxy =
  /^(x-request-id|x-forwarded-proto|x-forwarded-for|x-envoy-|traceparent|tracestate|content-length|connection|accept-encoding|user-agent|accept$)/;

function question(asked: Asked | undefined): unknown {
  if (asked === undefined) return undefined;
  const headers = Object.fromEntries(
    Object.entries(asked.headers)
      .filter(([name]) => !ofTheProxy.test(name) || name === 'x-envoy-auth-partial-body')
      .map(([name, value]) => [name, name === 'host' || name === ':authority' ? 'host' : value])
      .sort(),
  );
  return { ...asked, host: asked.host === '' ? '' : 'host', headers };
}

async function ask(kind: 'weft' | 'envoy', listener: ListenerName, args: readonly string[]) {
  const [path = '', ...more] = args;
  const authorizer = listener.startsWith('grpc') ? grpc : http;
  authorizer.asked.length = 0;
  const { stdout } = await curl('-i', ...more, `http://127.0.0.1:${ports[kind].get(listener)}${path}`);
  const [head = '', body = ''] = stdout.split('\r\n\r\n');
  const [line = '', ...fields] = head.split('\r\n');
  const kept = fields
    .map((field) => field.replace(/^[^:]+/, (name) => name.toLowerCase()))
    .filter((field) => /^(www-authenticate|location|x-reason|x-other|x-seen|x-user|grpc-status):/.test(field))
    .sort();
  // What our own refusals say is ours.
  const status = line.split(' ')[1];
  const says = body.startsWith('{') || body === 'who are you' ? body : '';
  return { status, fields: kept, body: says, asked: authorizer.asked.map(question) };
}

const fields = ['-H', 'x-user: root', '-H', 'x-list: one', '-H', 'x-secret: s', '-H', 'Authorization: Bearer t'];
const twice = ['-H', 'x-list: one', '-H', 'x-list: three'];
const requests: readonly (readonly string[])[] = [
  ['/ok', ...fields],
  ['/ok?a=b%20c', '-X', 'DELETE', ...twice],
  ['/public/x', ...fields],
  ['/headers', ...fields],
  ['/headers'],
  ['/query?token=1&x=2&token=3'],
  ['/query'],
  ['/denied', ...fields],
  ['/denied', '-X', 'POST', '-H', 'content-type: application/grpc'],
  ['/denied', '-X', 'HEAD', '--head'],
  ['/plainly-denied'],
  ['/redirect'],
  ['/created'],
  ['/unavailable'],
  ['/slow'],
  ['/ok', '-d', '1234567890'],
  ['/ok', '-d', '12345678901'],
  ['/ok', '-H', 'Transfer-Encoding: chunked', '-d', '123'],
  ['/ok', '-H', 'Transfer-Encoding: chunked', '-d', '12345678901'],
  ['/ok', '-H', 'Expect: 100-continue', '-d', '1234'],
];

for (const listener of names) {
  describe(listener, () => {
    for (const request of requests) {
      test(request.join(' '), async () => {
        const [weft, envoy] = [await ask('weft', listener, request), await ask('envoy', listener, request)];
        assert.deepEqual(weft, envoy);
        const [path = '', ...more] = request;
        const unasked = path.startsWith('/public') || more.includes('12345678901');
        assert.equal(weft.asked.length, unasked ? 0 : 1);
      });
    }
  });
}

test('a field with a line end in it ends the request, by either', async () => {
  for (const kind of ['weft', 'envoy'] as const) {
    assert.equal((await ask(kind, 'grpc', ['/hostile'])).status, '500', kind);
  }
});

test('a header that only an authorizer sets is taken off by either', async () => {
  const forged = ['/public/x', '-H', 'x-user: root', '-H', 'x_user: root', '-H', 'x-list: one'];
  for (const kind of ['weft', 'envoy'] as const) {
    const { body, asked } = await ask(kind, 'http-reserved', forged);
    assert.deepEqual({ user: JSON.parse(body).user, asked }, { asked: [], user: undefined }, kind);
    assert.equal(JSON.parse((await ask(kind, 'http', forged)).body).user, 'root', `${kind}, where nobody says so`);
  }
});
