/** The little cluster of the mesh's conformance tests: one Service for two versions, one for each, clients in two namespaces. */
import { readFileSync, rmSync } from 'node:fs';
import { CertificateFolder } from './certs.ts';
import { EchoPod, type TlsFiles } from './echo-pods.ts';
import { type Answer, type Ask, GrpcChannel, http } from './mesh-callers.ts';
import { testFolder } from './pair-sidecar.ts';
import { type Caller, RouteWorld } from './route-world.ts';

export type ServiceName = 'echo' | 'echo-v1' | 'echo-v2';

export const clusterIps: Readonly<Record<ServiceName, string>> = {
  echo: '10.96.1.1',
  'echo-v1': '10.96.1.2',
  'echo-v2': '10.96.1.3',
};

const service = (name: ServiceName): string => `
kind: Service
metadata: { name: ${name}, namespace: mesh }
spec:
  clusterIPs: [${clusterIps[name]}, "fd00::${clusterIps[name].slice(-1)}"]
  selector: { app: echo${name === 'echo' ? '' : `, version: ${name.slice(5)}`} }
  ports:
    - { name: http, port: 80, targetPort: 8080, appProtocol: http }
    - { name: http-alt, port: 8080, appProtocol: http }
    - { name: https, port: 443, targetPort: 8443 }
    - { name: tcp, port: 9090 }
    - { name: grpc, port: 7070, appProtocol: grpc }
`;

const slice = (name: string, ips: readonly string[]): string => `
kind: EndpointSlice
metadata: { name: ${name}-1, namespace: mesh, labels: { kubernetes.io/service-name: ${name} } }
addressType: IPv4
ports:
  - { name: http, port: 8080, protocol: TCP }
  - { name: http-alt, port: 8080, protocol: TCP }
  - { name: https, port: 8443, protocol: TCP }
  - { name: tcp, port: 9090, protocol: TCP }
  - { name: grpc, port: 7070, protocol: TCP }
endpoints: [${ips.map((ip) => `{ addresses: [${ip}], conditions: { ready: true } }`).join(', ')}]
`;

const pod = (namespace: string, name: string, ip: string, version: string): string => `
kind: Pod
metadata: { name: ${name}, namespace: ${namespace}, labels: { app: echo, version: ${version} } }
spec: { containers: [{ name: app, ports: [{ containerPort: 8080 }] }] }
status: { phase: Running, podIP: ${ip} }
`;

/** Loopback has room for every process. */
const prefix = `127.${64 + (process.pid % 128)}.${(process.pid >> 7) % 256}`;

export class EchoMesh {
  readonly world = new RouteWorld();
  readonly podIps = { v1: `${prefix}.1`, v2: `${prefix}.2` };
  private readonly pods: readonly EchoPod[];
  private readonly folder = testFolder('routes');

  constructor() {
    this.pods = [new EchoPod('echo-v1', this.podIps.v1), new EchoPod('echo-v2', this.podIps.v2)];
  }

  static async start(): Promise<EchoMesh> {
    const mesh = new EchoMesh();
    const tls = await mesh.certificate();
    await Promise.all(mesh.pods.map((one) => one.start(tls)));
    const { v1, v2 } = mesh.podIps;
    mesh.world.apply(
      [
        ...(['echo', 'echo-v1', 'echo-v2'] as const).map(service),
        slice('echo', [v1, v2]),
        slice('echo-v1', [v1]),
        slice('echo-v2', [v2]),
        pod('mesh', 'echo-v1', v1, 'v1'),
        pod('mesh', 'echo-v2', v2, 'v2'),
        pod('consumer', 'client', '192.0.2.9', 'none'),
      ].join('---'),
    );
    return mesh;
  }

  /** In place of all routes before. */
  routes(yaml: string): void {
    this.world.clearRoutes();
    if (yaml !== '') this.world.apply(yaml);
  }

  caller(namespace: 'mesh' | 'consumer' = 'mesh'): Promise<Caller> {
    return this.world.caller(namespace === 'mesh' ? 'mesh/echo-v1' : 'consumer/client');
  }

  async get(
    path: string,
    ask: Partial<Ask> & { readonly to?: ServiceName; readonly from?: 'consumer' } = {},
  ): Promise<Answer> {
    const { to = 'echo', from, ...rest } = ask;
    return http(await this.caller(from), { ip: clusterIps[to], port: 80, host: to, path, ...rest });
  }

  /** How often a pod was asked for a path. */
  calls(version: 'v1' | 'v2', path: string): number {
    return this.pods.find(({ name }) => name === `echo-${version}`)?.requests.get(path) ?? 0;
  }

  async channel(to: ServiceName = 'echo'): Promise<GrpcChannel> {
    return GrpcChannel.open(await this.caller(), clusterIps[to], 7070, `${to}:7070`);
  }

  stop(): void {
    this.world.stop();
    for (const one of this.pods) one.stop();
    rmSync(this.folder, { recursive: true, force: true });
  }

  private async certificate(): Promise<TlsFiles> {
    const authority = await CertificateFolder.make(this.folder);
    const files = await authority.issue('echo', 'spiffe://cluster.local/ns/mesh/sa/default');
    return { cert: readFileSync(files.certificateFile, 'utf8'), key: readFileSync(files.keyFile, 'utf8') };
  }
}

/** A route of the Gateway API on a Service of the mesh, as YAML. */
export const route = (
  kind: string,
  spec: string,
  options: { name?: string; parent?: string; created?: string; namespace?: string } = {},
): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: ${kind}
metadata:
  name: ${options.name ?? 'route'}
  namespace: ${options.namespace ?? 'mesh'}
  creationTimestamp: "${options.created ?? '2026-01-01T00:00:00Z'}"
spec:
  parentRefs: [${options.parent ?? '{ group: "", kind: Service, name: echo, port: 80 }'}]
${spec.replace(/^/gm, '  ')}
`;
