import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseAllDocuments } from 'yaml';
import { type ApiResult, isConflict, isNotFound, type KubeClient } from './client/client.ts';

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string; readonly namespace?: string };
}

interface Discovery {
  readonly resources: readonly { readonly name: string; readonly kind: string; readonly namespaced: boolean }[];
}

interface DeploymentList {
  readonly items: readonly {
    readonly metadata: { readonly name: string; readonly namespace: string; readonly generation?: number };
    readonly spec: { readonly replicas?: number };
    readonly status?: { readonly availableReplicas?: number; readonly observedGeneration?: number };
  }[];
}

const APPLY_ATTEMPTS_MAX = 40;
const APPLY_RETRY_MS = 100;
const POLL_MS = 100;

/** The objects of a file of manifests. */
export function readManifests(path: string): readonly Manifest[] {
  return parseAllDocuments(readFileSync(path, 'utf8'))
    .map((document) => document.toJS() as Manifest | null)
    .filter((manifest) => manifest !== null);
}

/** Creates objects, or brings existing ones to what the manifests say; what others added to them stays. */
export class Installer {
  private readonly client: KubeClient;
  private readonly discovered = new Map<string, Discovery>();

  constructor(client: KubeClient) {
    this.client = client;
  }

  /** Throws with the object's name when the API refuses it. */
  async apply(manifests: readonly Manifest[]): Promise<void> {
    for (const manifest of manifests) await this.applyOne(manifest);
  }

  private async applyOne(manifest: Manifest): Promise<void> {
    const { name } = manifest.metadata;
    for (let attempt = 1; ; attempt++) {
      const collection = await this.collectionPath(manifest);
      const result: ApiResult<unknown> =
        collection === undefined
          ? {
              ok: false,
              status: 404,
              reason: 'NotFound',
              message: `there is no kind ${manifest.kind} in ${manifest.apiVersion}`,
            }
          : await this.put(collection, name, manifest);
      if (result.ok) return;
      // A CRD becomes served, a webhook's pod ready, a moment after the objects that they need were made.
      const mayPass = isNotFound(result) || isConflict(result) || result.status >= 500 || result.status === 0;
      if (!mayPass || attempt >= APPLY_ATTEMPTS_MAX) throw new Error(`${manifest.kind} ${name}: ${result.message}`);
      await sleep(APPLY_RETRY_MS);
    }
  }

  private async put(collection: string, name: string, manifest: Manifest): Promise<ApiResult<unknown>> {
    const created = await this.client.create(collection, manifest);
    return isConflict(created) ? this.client.patch(`${collection}/${name}`, manifest, 'merge') : created;
  }

  private async collectionPath({ apiVersion, kind, metadata }: Manifest): Promise<string | undefined> {
    const base = apiVersion.includes('/') ? `/apis/${apiVersion}` : `/api/${apiVersion}`;
    let discovery = this.discovered.get(base);
    if (discovery?.resources.some((resource) => resource.kind === kind) !== true) {
      const found = await this.client.get<Discovery>(base);
      if (!found.ok) return undefined;
      discovery = found.value;
      this.discovered.set(base, discovery);
    }
    const resource = discovery.resources.find((candidate) => candidate.kind === kind && !candidate.name.includes('/'));
    if (resource === undefined) return undefined;
    return resource.namespaced
      ? `${base}/namespaces/${metadata.namespace ?? 'default'}/${resource.name}`
      : `${base}/${resource.name}`;
  }

  /** Waits until every Deployment of the namespaces is available; resolves to those that are not in time. */
  async available(namespaces: readonly string[], timeoutMs: number): Promise<readonly string[]> {
    const deadlineMs = performance.now() + timeoutMs;
    for (;;) {
      const waiting: string[] = [];
      for (const namespace of namespaces) {
        const list = await this.client.get<DeploymentList>(`/apis/apps/v1/namespaces/${namespace}/deployments`);
        if (!list.ok) waiting.push(`${namespace}: ${list.message}`);
        else {
          for (const { metadata, spec, status } of list.value.items) {
            const ready = (status?.availableReplicas ?? 0) >= (spec.replicas ?? 1);
            const observed = (status?.observedGeneration ?? 0) >= (metadata.generation ?? 0);
            if (!ready || !observed) waiting.push(`${namespace}/${metadata.name}`);
          }
        }
      }
      if (waiting.length === 0 || performance.now() > deadlineMs) return waiting;
      await sleep(POLL_MS);
    }
  }
}

/** What the local mesh installs: the contract, the mesh, and the demo if wanted. */
export const manifestFiles = (root: string, demo: boolean): readonly string[] =>
  ['gateway-api.yaml', 'weft-crds.yaml', 'weft.yaml', ...(demo ? ['demo.yaml'] : [])].map((name) =>
    join(root, 'local', 'manifests', name),
  );
