import assert from 'node:assert/strict';
import { after, before, describe, test } from 'node:test';
import type { Pod } from '@weft/local/client/objects';
import { paths } from '@weft/local/client/paths';
import { startTestMesh, type TestMesh, until } from '../support/local-mesh.ts';

const LOOKUP = `
import socket, sys
for name in sys.argv[1:]:
    try:
        found = sorted({item[4][0] for item in socket.getaddrinfo(name, 80, proto=socket.IPPROTO_TCP)})
        print(name, ",".join(found), flush=True)
    except OSError as error:
        print(name, "error", error.errno, flush=True)
`;

/** A query by hand over UDP and TCP, for what getaddrinfo does not ask. */
const RAW = `
import socket, struct, sys
server, name, kind = sys.argv[1], sys.argv[2], int(sys.argv[3])
query = struct.pack(">HHHHHH", 7, 0x100, 1, 0, 0, 0) + b"".join(bytes([len(p)]) + p.encode() for p in name.split(".")) + b"\\0" + struct.pack(">HH", kind, 1)
family = socket.AF_INET6 if ":" in server else socket.AF_INET
udp = socket.socket(family, socket.SOCK_DGRAM); udp.settimeout(3); udp.sendto(query, (server, 53)); a = udp.recv(4096)
tcp = socket.create_connection((server, 53), 3); tcp.sendall(struct.pack(">H", len(query)) + query)
length = struct.unpack(">H", tcp.recv(2))[0]; b = tcp.recv(length)
print(a == b, a[3] & 15, struct.unpack(">H", a[6:8])[0], b"db-0" in a)
`;

describe('cluster DNS', () => {
  let mesh: TestMesh;
  before(async () => {
    mesh = await startTestMesh('t-dns');
    await mesh.apply(
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'web', namespace: 'default' },
        spec: { ipFamilyPolicy: 'RequireDualStack', selector: { app: 'db' }, ports: [{ name: 'http', port: 80 }] },
      },
      {
        apiVersion: 'v1',
        kind: 'Service',
        metadata: { name: 'db', namespace: 'default' },
        spec: {
          clusterIP: 'None',
          ipFamilyPolicy: 'RequireDualStack',
          selector: { app: 'db' },
          ports: [{ name: 'http', port: 80, targetPort: 8000 }],
        },
      },
      {
        apiVersion: 'v1',
        kind: 'Pod',
        metadata: { name: 'db', namespace: 'default', labels: { app: 'db' } },
        spec: {
          hostname: 'db-0',
          subdomain: 'db',
          terminationGracePeriodSeconds: 0,
          containers: [{ name: 'c', image: 'busybox', command: ['sleep', '3600'] }],
        },
      },
    );
  });
  after(() => mesh.close());

  /** Runs python in a pod of its own, so that the pod's resolv.conf and the host's libc do the asking. */
  const python = async (name: string, script: string, args: readonly string[]): Promise<string> => {
    await mesh.apply({
      apiVersion: 'v1',
      kind: 'Pod',
      metadata: { name, namespace: 'default' },
      spec: { restartPolicy: 'Never', containers: [{ name: 'c', image: 'python', args: ['-c', script, ...args] }] },
    });
    await until(`${name} ends`, async () => ((await mesh.pod(name))?.status?.phase === 'Succeeded' ? true : undefined));
    return mesh.logs(name);
  };

  test('getaddrinfo in a pod finds Services and pods by short and full names', async () => {
    const db = await mesh.podReady('db');
    const service = await mesh.client.get<{ spec: { clusterIPs: string[] } }>(paths.core('services', 'default', 'web'));
    assert.ok(service.ok);
    const vips = [...service.value.spec.clusterIPs].sort().join(',');
    const ips = (item: Pod): string =>
      (item.status?.podIPs ?? [])
        .map(({ ip }) => ip)
        .sort()
        .join(',');
    await until('the headless name is served', async () => {
      const slices = await mesh.client.get<{ items: { endpoints?: unknown[] }[] }>(
        `${paths.discovery('endpointslices', 'default')}?labelSelector=kubernetes.io%2Fservice-name%3Ddb`,
      );
      return slices.ok &&
        slices.value.items.length === 2 &&
        slices.value.items.every((item) => item.endpoints?.length === 1)
        ? true
        : undefined;
    });
    const output = await python('ask', LOOKUP, [
      'web',
      'web.default',
      'web.default.svc.cluster.local',
      'db',
      'db-0.db',
      'nope.default.svc.cluster.local',
      'kubernetes.default.svc',
    ]);
    const lines = output.trim().split('\n');
    for (const name of ['web', 'web.default', 'web.default.svc.cluster.local'])
      assert.ok(lines.includes(`${name} ${vips}`), output);
    for (const name of ['db', 'db-0.db']) assert.ok(lines.includes(`${name} ${ips(db)}`), output);
    // EAI_NONAME (-2): the name does not exist, at once and by an authoritative answer.
    assert.ok(lines.includes('nope.default.svc.cluster.local error -2'), output);
    assert.match(output, /^kubernetes\.default\.svc 10\./m);
  });

  test('UDP and TCP give the same answer on both addresses: SRV, NODATA, NXDOMAIN', async () => {
    const db = await mesh.podReady('db');
    for (const server of mesh.mesh.names.bridgeIps) {
      const ask = async (name: string, kind: number): Promise<string> =>
        (await mesh.inPod(db, 'python3', ['-c', RAW, server, name, String(kind)])).stdout.trim();
      assert.equal(await ask('_http._tcp.db.default.svc.cluster.local', 33), 'True 0 1 True');
      assert.equal(await ask('web.default.svc.cluster.local', 16), 'True 0 0 False');
      assert.equal(await ask('nope.default.svc.cluster.local', 1), 'True 3 0 False');
    }
  });
});
