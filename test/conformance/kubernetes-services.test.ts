/** What Kubernetes promises of Services, kept by the mesh: real pods with sidecars on a local mesh of their own. */
import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import { execInPod, OWN_PROGRAM } from '../support/exec-in-pod.ts';
import { startMesh, type TestMesh } from '../support/mesh.ts';
import type { ShopPod } from '../support/shop.ts';
import { waitFor } from '../support/wait.ts';

const NAME = 'services';
const GRACE_SECONDS = 12;

/** Says who it is and how often the path was asked for; `/flaky` fails twice, `/slow` takes its time. */
const SERVER = `
import http.server, os, socket, sys, time
class Server(http.server.ThreadingHTTPServer):
    address_family = socket.AF_INET6
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = 'HTTP/1.1'
    asked = {}
    def do_GET(self):
        if self.path == '/slow': time.sleep(5)
        count = Handler.asked[self.path] = Handler.asked.get(self.path, 0) + 1
        body = f'{os.environ["POD"]} {count} {self.client_address[0]}'.encode()
        self.send_response(503 if self.path == '/flaky' and count < 3 else 200)
        self.send_header('Content-Length', str(len(body)))
        self.end_headers()
        self.wfile.write(body)
    def log_message(self, *args): pass
Server(('::', int(sys.argv[1])), Handler).serve_forever()
`;

/** Requests on connections of their own for some seconds; prints how often each outcome was seen. */
const LOAD = `
import collections, http.client, sys, time
seen = collections.Counter()
until = time.monotonic() + float(sys.argv[2])
while time.monotonic() < until:
    try:
        connection = http.client.HTTPConnection(sys.argv[1], 80, timeout=5)
        connection.request('GET', '/')
        answer = connection.getresponse()
        seen[f'{answer.status} {answer.read().decode().split(" ")[0]}'] += 1
        connection.close()
    except Exception as error: seen[repr(error)] += 1
    time.sleep(0.02)
for outcome, count in seen.items(): print(count, outcome)
`;

const pod = (name: string, port: number, app: string): object => ({
  apiVersion: 'v1',
  kind: 'Pod',
  metadata: { name, namespace: 'data', labels: { app } },
  spec: {
    hostname: name,
    subdomain: app,
    terminationGracePeriodSeconds: GRACE_SECONDS,
    containers: [
      {
        name: 'server',
        image: 'python',
        args: ['-c', SERVER, String(port)],
        env: [{ name: 'POD', value: name }],
        ports: [{ name: 'web', containerPort: port }],
        readinessProbe: { tcpSocket: { port }, periodSeconds: 1 },
      },
    ],
  },
});

const service = (name: string, app: string, spec: object): object => ({
  apiVersion: 'v1',
  kind: 'Service',
  metadata: { name, namespace: 'data' },
  spec: { selector: { app }, ...spec },
});

const objects: readonly object[] = [
  service('db', 'db', { clusterIP: 'None', ports: [{ name: 'http', port: 8080, targetPort: 'web' }] }),
  service('db-any', 'db', { ports: [{ name: 'http', port: 80, targetPort: 'web' }] }),
  service('last', 'last', { ports: [{ name: 'http', port: 80, targetPort: 'web' }] }),
  pod('db-0', 8080, 'db'),
  pod('db-1', 3000, 'db'),
  pod('last-0', 8080, 'last'),
  pod('client', 8080, 'client'),
  {
    apiVersion: 'weft.dev/v1alpha1',
    kind: 'TrafficPolicy',
    metadata: { name: 'db', namespace: 'data' },
    spec: {
      targetRefs: [{ kind: 'Service', name: 'db' }],
      timeouts: { request: '2s' },
      retries: { attempts: 3, statusCodes: [503], backoff: { baseInterval: '5ms', maxInterval: '10ms' } },
    },
  },
];

describe('Services of Kubernetes', () => {
  let mesh: TestMesh;
  let pods: ReadonlyMap<string, ShopPod>;

  const podNamed = (name: string): ShopPod => {
    const found = pods.get(name);
    assert.ok(found, name);
    return found;
  };
  const call = (...command: readonly string[]): Promise<string> =>
    execInPod(NAME, podNamed('client').metadata.uid, command);
  /** Status and body. */
  const get = (url: string): Promise<string> => call('curl', '-sS', '--max-time', '10', '-w', ' %{http_code}', url);
  const metrics = async (name: string): Promise<string> =>
    (await fetch(`http://${podNamed(name).status.podIP}:15020/metrics`, { signal: AbortSignal.timeout(5_000) })).text();

  before(async () => {
    mesh = await startMesh(NAME);
    await mesh.kubectl.apply(`
apiVersion: v1
kind: Namespace
metadata: { name: data, labels: { weft.dev/inject: enabled } }
`);
    await waitFor('the default service account', () => mesh.kubectl('get', 'serviceaccount', '-n', 'data', 'default'));
    await mesh.kubectl.apply(JSON.stringify({ apiVersion: 'v1', kind: 'List', items: objects }));
    await mesh.kubectl('wait', '--for=condition=Ready', 'pod', '--all', '-n', 'data', '--timeout=120s');
    const { items } = await mesh.kubectl.json<{ items: ShopPod[] }>('get', 'pods', '-n', 'data');
    pods = new Map(items.map((one) => [one.metadata.name, one]));
  });
  after(() => mesh?.stop());

  test('a named targetPort is another number on each pod', async () => {
    const seen = new Set<string>();
    for (let i = 0; i < 40 && seen.size < 2; i++) seen.add((await get('http://db-any.data.svc/')).split(' ')[0] ?? '');
    assert.deepEqual([...seen].sort(), ['db-0', 'db-1']);
  });

  test('names of pods lead to these pods, and to no other when one fails', async () => {
    for (const [name, port] of [
      ['db-0', 8080],
      ['db-1', 3000],
    ] as const) {
      for (let i = 0; i < 3; i++) {
        const answer = await get(`http://${name}.db.data.svc.cluster.local:${port}/mine`);
        assert.match(answer, new RegExp(`^${name} .* 200$`));
      }
      // Twice 503, each retried with the same pod.
      assert.match(await get(`http://${name}.db.data.svc:${port}/flaky`), new RegExp(`^${name} 3 .* 200$`));
    }
  });

  test('timeouts of a policy for the headless Service count', async () => {
    assert.match(await get('http://db-1.db.data.svc:3000/slow'), / 504$/);
  });

  test('metrics name the headless Service, the pod identity and mutual TLS', async () => {
    const lines = (await metrics('client')).split('\n').filter((line) => line.startsWith('weft_requests_total'));
    const own = lines.filter((line) => line.includes('destination_service="data/db"'));
    assert.ok(own.length > 0, lines.join('\n'));
    for (const line of own) assert.match(line, /mtls="true"/);
  });

  test('a call by address to a pod of a Service with a cluster IP knows no policy, but mutual TLS', async () => {
    assert.match(await get(`http://${podNamed('last-0').status.podIP}:8080/flaky`), /^last-0 1 .* 503$/);
    const lines = (await metrics('last-0')).split('\n');
    assert.ok(
      lines.some((line) => /^weft_requests_total\{direction="inbound".*response_code="503".*mtls="true"/.test(line)),
      lines.join('\n'),
    );
  });

  test('the last pod serves on while it ends, and nothing does once it is gone', async () => {
    const load = call(OWN_PROGRAM, '-c', LOAD, 'last.data.svc', '6');
    await mesh.kubectl('delete', 'pod', 'last-0', '-n', 'data', '--wait=false');
    await waitFor('the pod to end', async () => {
      const slices = await mesh.kubectl('get', 'endpointslices', '-n', 'data', '-o', 'json');
      return /"terminating": ?true/.test(slices) ? true : undefined;
    });
    const seen = await load;
    assert.match(seen, /^\d+ 200 last-0\n$/);
    await mesh.kubectl('wait', '--for=delete', 'pod/last-0', '-n', 'data', '--timeout=60s');
    await waitFor('nobody to serve', async () =>
      (await get('http://last.data.svc/')).endsWith(' 503') ? true : undefined,
    );
  });
});
