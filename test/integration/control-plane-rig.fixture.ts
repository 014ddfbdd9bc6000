/** A Kubernetes API, the embedded one or that of WEFT_TEST_KUBE_BIN, with real CRDs, the rights of the chart and two pods of a shop: for tests of the control plane. */
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { KubeConfig } from '@kubernetes/client-node';
import { KubeClient } from '@weft/control-plane/kube/client';
import { startEmbeddedApi } from '@weft/local/api/server';
import { customResourceDefinition } from '@weft/policies/crds/crd';
import { kindNames, kinds } from '@weft/policies/crds/kinds';
import { stringify } from 'yaml';
import { z } from 'zod';
import { kubeBinFolder, startKubeApiserver } from '../support/kube-apiserver.ts';

/** What `/debug` of the control plane says of how far sidecars have come. */
export const syncReport = z.object({
  sidecars: z.array(
    z.object({
      pod: z.string(),
      protocol: z.string(),
      synced: z.boolean(),
      types: z.array(z.object({ kind: z.string(), acked: z.number() })),
    }),
  ),
});

export const configMap = z.looseObject({ data: z.record(z.string(), z.string()) });

export const policyConditions = z.looseObject({
  status: z.looseObject({
    conditions: z.array(z.looseObject({ type: z.string(), status: z.string(), message: z.string() })),
  }),
});

const waitMsMax = 20_000;

/** Standard output and standard error together; rejects with both when the command fails. */
export function run(command: string, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = spawn(command, args, { timeout: 30_000 });
    let output = '';
    child.stdout.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.stderr.on('data', (chunk: Buffer) => (output += chunk.toString()));
    child.on('error', reject);
    child.on('close', (code) =>
      code === 0 ? resolve(output) : reject(new Error(`${command} ${args.join(' ')}: ${output}`)),
    );
    // One that ends without having read is told of by its exit code.
    child.stdin.on('error', () => {});
    child.stdin.end(input);
  });
}

export async function eventually<T>(what: string, look: () => Promise<T | undefined> | T | undefined): Promise<T> {
  const untilMs = Date.now() + waitMsMax;
  for (;;) {
    const found = await look();
    if (found !== undefined) return found;
    if (Date.now() > untilMs) assert.fail(`not within ${waitMsMax} ms: ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
}

/** The roles of the chart, without Helm: the file uses nothing but the namespace and a block of labels. */
function chartRoles(): string {
  const file = join(import.meta.dirname, '..', '..', 'charts', 'weft', 'templates', 'control-plane-rbac.yaml');
  return readFileSync(file, 'utf8')
    .split('\n')
    .filter((line) => !line.includes('include "weft.labels"'))
    .join('\n')
    .replaceAll('{{ .Release.Namespace }}', 'weft-system')
    .replaceAll(/^ {2}labels:\n/gm, '');
}

const conditionList = z.looseObject({
  status: z.looseObject({
    parents: z.array(
      z.looseObject({
        controllerName: z.string(),
        conditions: z.array(
          z.looseObject({
            type: z.string(),
            status: z.string(),
            reason: z.string(),
            message: z.string(),
            observedGeneration: z.number(),
          }),
        ),
      }),
    ),
  }),
});

export type RouteConditions = z.output<typeof conditionList>['status']['parents'][number]['conditions'];

export interface ClusterRig {
  readonly dir: string;
  readonly admin: KubeClient;
  readonly adminKubeconfig: string;
  /** With the rights that the chart gives the control plane. */
  readonly accountKubeconfig: string;
  kubectl(args: readonly string[], input?: string): Promise<string>;
  apply(yaml: string): Promise<string>;
  /** What kubectl says when it does not go through. */
  applyFails(yaml: string): Promise<string>;
  routeConditions(name: string): Promise<RouteConditions | undefined>;
  /** The trust bundle in a namespace, once it is there. */
  trustBundle(namespace: string): Promise<string>;
  /** A token of an account in `shop`, bound to a pod. */
  token(account: string, pod: string): Promise<string>;
  stop(): Promise<void>;
}

const configMapData = z.looseObject({ data: z.record(z.string(), z.string()) });

interface ApiUnderTest {
  readonly adminKubeconfig: string;
  /** For a service account of the mesh's namespace, which is there by then. */
  accountKubeconfig(account: string, kubectl: ClusterRig['kubectl']): Promise<string>;
  close(): Promise<void>;
}

async function embeddedApi(dir: string): Promise<ApiUnderTest> {
  const api = await startEmbeddedApi({
    dataDir: join(dir, 'api'),
    listen: [{ host: '127.0.0.1', port: 0 }],
    serviceCidrs: ['10.210.128.0/17', 'fd77:ef7:9:1::/112'],
    podCidrs: ['10.210.0.0/17'],
    advertise: [{ ip: '127.0.0.1' }],
    clusterDomain: 'cluster.local',
  });
  const groups = ['system:serviceaccounts', 'system:serviceaccounts:weft-system', 'system:authenticated'];
  return {
    adminKubeconfig: api.adminKubeconfig,
    accountKubeconfig: async (account) =>
      api.kubeconfigFor(`system:serviceaccount:weft-system:${account}`, groups, `https://127.0.0.1:${api.port}`),
    close: () => api.close(),
  };
}

async function realApi(bin: string, dir: string): Promise<ApiUnderTest> {
  const api = await startKubeApiserver(bin, join(dir, 'api'), '10.210.128.0/17');
  return {
    adminKubeconfig: api.adminKubeconfig,
    accountKubeconfig: async (account, kubectl) =>
      api.kubeconfigWith((await kubectl(['create', 'token', account, '-n', 'weft-system'])).trim()),
    close: () => api.close(),
  };
}

export async function startClusterRig(): Promise<ClusterRig> {
  const dir = mkdtempSync(join(tmpdir(), 'weft-control-plane-'));
  const bin = kubeBinFolder();
  const api = bin === undefined ? await embeddedApi(dir) : await realApi(bin, dir);
  const kubeconfig = join(dir, 'kubeconfig');
  writeFileSync(kubeconfig, api.adminKubeconfig);
  const adminConfig = new KubeConfig();
  adminConfig.loadFromString(api.adminKubeconfig);
  const admin = new KubeClient(adminConfig);
  // Never the synchronous kind: the API server may run in this very process.
  const kubectl: ClusterRig['kubectl'] = (args, input = '') =>
    run('kubectl', ['--kubeconfig', kubeconfig, ...args], input);
  const apply = (yaml: string): Promise<string> => kubectl(['apply', '-f', '-'], yaml);
  await prepare(kubectl, apply);
  return {
    dir,
    admin,
    adminKubeconfig: api.adminKubeconfig,
    accountKubeconfig: await api.accountKubeconfig('weft-control-plane', kubectl),
    kubectl,
    apply,
    applyFails: (yaml) =>
      apply(yaml).then(
        () => assert.fail('kubectl apply went through'),
        (error: unknown) => String(error),
      ),
    routeConditions: async (name) => {
      const answer = await admin.get(`/apis/gateway.networking.k8s.io/v1/namespaces/shop/httproutes/${name}`);
      const parsed = answer.ok ? conditionList.safeParse(answer.value) : undefined;
      return parsed?.success === true ? parsed.data.status.parents[0]?.conditions : undefined;
    },
    trustBundle: (namespace) =>
      eventually('trust bundle', async () => {
        const answer = await admin.get(`/api/v1/namespaces/${namespace}/configmaps/weft-trust`);
        return answer.ok ? configMapData.safeParse(answer.value).data?.data['root-cert.pem'] : undefined;
      }),
    token: async (name, pod) => {
      const bound = ['--audience', 'weft.dev', '--bound-object-kind', 'Pod', '--bound-object-name', pod];
      return (await kubectl(['create', 'token', name, '-n', 'shop', ...bound])).trim();
    },
    stop: async () => {
      await api.close();
      rmSync(dir, { recursive: true, force: true });
    },
  };
}

async function prepare(kubectl: ClusterRig['kubectl'], apply: ClusterRig['apply']): Promise<void> {
  for (const name of kindNames) await apply(stringify(customResourceDefinition(kinds[name])));
  await kubectl(['create', 'namespace', 'weft-system']);
  await kubectl(['create', 'namespace', 'shop']);
  await kubectl(['create', 'serviceaccount', 'weft-control-plane', '-n', 'weft-system']);
  await kubectl(['create', 'serviceaccount', 'web', '-n', 'shop']);
  await apply(chartRoles());
  await apply(shop);
  for (const [name, ip] of [
    ['web-a', '10.210.0.3'],
    ['cart-a', '10.210.0.1'],
  ] as const) {
    const status = JSON.stringify({ status: podStatus(ip) });
    await kubectl(['patch', 'pod', name, '-n', 'shop', '--subresource=status', '--type=merge', '-p', status]);
  }
}

const podStatus = (ip: string): unknown => ({
  phase: 'Running',
  podIP: ip,
  podIPs: [{ ip }],
  initContainerStatuses: [
    {
      name: 'weft-proxy',
      ready: true,
      started: true,
      restartCount: 0,
      image: 'p',
      imageID: 'p',
      state: { running: {} },
      lastState: {},
    },
  ],
});

const podOf = (name: string, account: string): string => `
apiVersion: v1
kind: Pod
metadata: { name: ${name}, namespace: shop, labels: { app: ${account} } }
spec:
  serviceAccountName: ${account}
  initContainers: [{ name: weft-proxy, image: p, restartPolicy: Always }]
  containers: [{ name: app, image: a, ports: [{ containerPort: 8080 }] }]
`;

const service = (name: string): string => `
apiVersion: v1
kind: Service
metadata: { name: ${name}, namespace: shop }
spec:
  selector: { app: cart }
  ports: [{ name: http, port: 80, targetPort: 8080 }]
`;

const shop = [
  'apiVersion: v1\nkind: ServiceAccount\nmetadata: { name: cart, namespace: shop }\n',
  service('cart'),
  service('cart-v2'),
  podOf('web-a', 'web'),
  podOf('cart-a', 'cart'),
].join('---\n');

export const split = (weight: number): string => `
apiVersion: gateway.networking.k8s.io/v1
kind: HTTPRoute
metadata: { name: split, namespace: shop }
spec:
  parentRefs: [{ group: "", kind: Service, name: cart, port: 80 }]
  rules: [{ backendRefs: [{ name: cart, port: 80, weight: ${100 - weight} }, { name: cart-v2, port: 80, weight: ${weight} }] }]
`;
