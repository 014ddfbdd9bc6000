import assert from 'node:assert/strict';
import { rmSync } from 'node:fs';
import { after, before, describe, test } from 'node:test';
import { emptyRecord, type RequestRecord } from '@weft/sidecar/telemetry/record';
import { SpanRing } from '@weft/sidecar/telemetry/span-ring';
import { Tracing } from '@weft/sidecar/telemetry/tracing';
import { bootstrap, cluster, httpListener, route } from '../support/pair-bootstrap.ts';
import { curlStatus } from '../support/pair-curl.ts';
import { answerOk, RawOrigin } from '../support/pair-origin.ts';
import { freePort } from '../support/pair-process.ts';
import { startSidecar, testFolder } from '../support/pair-sidecar.ts';
import { type StoredSpan, startTraceStore, type TraceStore } from '../support/trace-store.ts';
import { traceTree } from '../support/trace-tree.ts';
import { waitFor } from '../support/wait.ts';
import { stdoutLog } from './envoy-surface.fixture.ts';

const START_UNIX_MS = 1_790_000_000_123.5;

const request: RequestRecord = {
  ...emptyRecord('outbound'),
  startUnixMs: START_UNIX_MS,
  durationMs: 12.25,
  upstreamMs: 10,
  method: 'GET',
  authority: 'cart.shop.svc:8080',
  path: '/cart/42?full=1',
  status: 200,
  route: 'shop/cart/0',
  cluster: 'outbound/shop/cart/8080',
  upstream: '[fd77:ef7:0::7]:8080',
  attempts: 3,
  sourceIdentity: 'spiffe://cluster.local/ns/shop/sa/web',
  sourceWorkload: 'shop/web',
  destinationWorkload: 'shop/cart',
  destinationService: 'shop/cart',
  remote: '10.200.0.5:40000',
  destination: '10.200.128.9:80',
  bytesReceived: 100,
  bytesSent: 200,
  mtls: true,
  requestId: '5f0c7c1e-6c8e-4a0e-9d3a-0d8a0f2b1c11',
  sampled: true,
};

interface Sender {
  readonly service: string;
  send(record: Partial<RequestRecord>): void;
  close(): Promise<void>;
}

const complaints: string[] = [];

function sender(service: string, otlpProtocol: 'grpc' | 'http', otlpEndpoint: string): Sender {
  const ring = new SpanRing(16);
  const tracing = Tracing.start({
    settings: { otlpEndpoint, otlpProtocol, samplingPercent: 100 },
    serviceName: service,
    ring,
    log: (line) => complaints.push(line),
    attributes: { 'k8s.pod.name': `${service}-1`, 'k8s.namespace.name': 'shop, and = more' },
  });
  return { service, send: (record) => ring.push({ ...request, ...record }), close: () => tracing.close() };
}

describe('spans by OTLP at a real collector', { timeout: 600_000 }, () => {
  let store: TraceStore;
  before(async () => {
    store = await startTraceStore({ host: '127.0.0.1', port: 0 });
  });
  after(async () => {
    await store.stop();
  });

  const stored = (traceId: string, count: number): Promise<readonly StoredSpan[]> =>
    waitFor(`${count} spans of ${traceId}`, async () => {
      const spans = (await store.spans()).filter((span) => span.traceId === traceId);
      return spans.length >= count ? spans : undefined;
    });

  for (const protocol of ['http', 'grpc'] as const) {
    test(`ids, parents, kind, service, times and status over ${protocol}`, async () => {
      const endpoint = protocol === 'http' ? store.endpoint : store.grpcEndpoint;
      const traceId = `${protocol === 'http' ? 'a' : 'b'}af7651916cd43dd8448eb211c80319c`;
      const ids = ['00f067aa0ba902b7', '00f067aa0ba902b8', '00f067aa0ba902b9', '00f067aa0ba902ba'] as const;
      const external = 'b7ad6b7169203331';
      // One process after the other, as the settings of one sidecar change: each span must carry its own service's name.
      const web = sender('web', protocol, endpoint);
      web.send({ direction: 'inbound', traceId, spanId: ids[0], parentSpanId: external, startUnixMs: START_UNIX_MS });
      web.send({ traceId, spanId: ids[1], parentSpanId: ids[0], startUnixMs: START_UNIX_MS + 1 });
      await web.close();
      const cart = sender('cart', protocol, endpoint);
      const failed = { status: 404, startUnixMs: START_UNIX_MS + 2 };
      cart.send({ direction: 'inbound', traceId, spanId: ids[2], parentSpanId: ids[1], ...failed });
      cart.send({ traceId, spanId: ids[3], parentSpanId: ids[2], ...failed });
      await cart.close();

      const spans = await stored(traceId, ids.length);
      const byId = new Map(spans.map((span) => [span.spanId, span]));
      assert.deepEqual([...byId.keys()].sort(), [...ids]);
      assert.deepEqual(
        ids.map((id) => byId.get(id)).map((span) => [span?.parentSpanId, span?.kind, span?.service, span?.status]),
        [
          [external, 'server', 'web', 'unset'],
          [ids[0], 'client', 'web', 'unset'],
          [ids[1], 'server', 'cart', 'unset'],
          [ids[2], 'client', 'cart', 'error'],
        ],
      );
      const client = byId.get(ids[1]);
      assert.ok(client !== undefined);
      assert.equal(client.name, 'GET');
      assert.equal(client.startUnixNs, 1_790_000_000_124_500_000n);
      assert.equal(client.endUnixNs - client.startUnixNs, 12_250_000n);
      assert.equal(client.resource['k8s.pod.name'], 'web-1');
      assert.equal(client.resource['k8s.namespace.name'], 'shop, and = more');
      assert.equal(client.resource['process.command_args'], undefined, 'the command line stays here');
      assert.deepEqual(client.attributes, {
        'http.request.method': 'GET',
        'http.request.resend_count': 2,
        'http.response.status_code': 200,
        'network.peer.address': 'fd77:ef7:0::7',
        'network.peer.port': 8080,
        'server.address': 'cart.shop.svc',
        'server.port': 8080,
        'url.path': '/cart/42',
        'url.query': 'full=1',
        'weft.destination_service': 'shop/cart',
        'weft.request_id': request.requestId,
        'weft.route': 'shop/cart/0',
        'weft.source_principal': 'spiffe://cluster.local/ns/shop/sa/web',
      });
      const tree = traceTree(spans, traceId, external);
      assert.deepEqual(tree.problems, []);
      assert.deepEqual(tree.hops, [{ from: 'web', to: 'cart' }]);
      assert.deepEqual(complaints, []);
    });
  }

  test('gRPC calls carry the conventions of RPC', async () => {
    const traceId = 'caf7651916cd43dd8448eb211c80319c';
    const web = sender('web', 'grpc', store.grpcEndpoint);
    web.send({
      protocol: 'grpc',
      method: 'POST',
      path: '/shop.Cart/Get',
      grpcStatus: 14,
      traceId,
      spanId: '1'.repeat(16),
    });
    await web.close();
    const [span] = await stored(traceId, 1);
    assert.equal(span?.name, 'shop.Cart/Get');
    assert.equal(span?.parentSpanId, '');
    assert.equal(span?.status, 'error');
    assert.equal(span?.attributes['rpc.response.status_code'], 'UNAVAILABLE');
    assert.equal(span?.attributes['error.type'], 'UNAVAILABLE');
  });

  test('a proxy from a bootstrap: spans of its node, and the log that its listener says', async (t) => {
    const folder = testFolder('traced');
    t.after(() => rmSync(folder, { recursive: true, force: true }));
    const origin = await RawOrigin.start(answerOk);
    t.after(() => origin.close());
    const [port, adminPort] = [await freePort(), await freePort()];
    const listener = httpListener({
      name: 'outbound',
      at: { ip: '127.0.0.1', port },
      direction: 'OUTBOUND',
      routes: [route('any', '/', 'origin')],
      manager: { access_log: [stdoutLog('%REQ(:PATH)% %RESPONSE_CODE% %TRACE_ID%')] },
    });
    const tracing = { otlp_endpoint: store.grpcEndpoint, otlp_protocol: 'grpc', sampling_percent: 100 };
    const text = bootstrap({
      id: 'edge-1',
      adminPort,
      listeners: [{ ...listener, metadata: { filter_metadata: { 'weft.dev': { settings: { tracing } } } } }],
      clusters: [cluster({ name: 'origin', endpoints: [{ ip: '127.0.0.1', port: origin.port }] })],
    });
    const program = await startSidecar(folder, text);
    t.after(() => program.stop());
    const traceId = 'daf7651916cd43dd8448eb211c80319c';
    const parent = `traceparent: 00-${traceId}-b7ad6b7169203331-01`;
    assert.equal(await curlStatus('-H', parent, `http://127.0.0.1:${port}/traced`), 200);
    const line = await waitFor('the line', () => (program.stdout.endsWith('\n') ? program.stdout : undefined));
    assert.equal(line, `/traced 200 ${traceId}\n`);
    const [span] = await stored(traceId, 1);
    assert.deepEqual([span?.service, span?.kind], ['edge-1', 'client']);
  });

  test('a running exporter sends by itself, without being closed', async () => {
    const traceId = 'eaf7651916cd43dd8448eb211c80319c';
    const web = sender('web', 'http', store.endpoint);
    web.send({ traceId, spanId: '2'.repeat(16) });
    await stored(traceId, 1);
    await web.close();
  });

  test('a collector that is not there is one line in the log, and close ends', async () => {
    const web = sender('web', 'http', 'http://127.0.0.1:1');
    for (let i = 0; i < 40; i++) web.send({ traceId: 'daf7651916cd43dd8448eb211c80319c', spanId: '3'.repeat(16) });
    await web.close();
    assert.equal(complaints.length, 1, complaints.join('\n'));
    assert.match(complaints[0] ?? '', /^tracing: the last spans are lost: .*ECONNREFUSED/s);
  });
});
