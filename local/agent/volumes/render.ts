import type { DownwardItem, KeyToPath, Pod, ProjectedSource, Volume } from '../../client/objects.ts';
import { configMapData, type ObjectLookup, secretData } from '../env.ts';
import { fieldOf, type PodAddresses, resourceOf } from '../fields.ts';
import { isSafeRelativePath, type VolumeFile } from './atomic-directory.ts';
import type { PodTokens } from './tokens.ts';

interface RenderContext {
  readonly pod: Pod;
  readonly addresses: PodAddresses;
  readonly objects: ObjectLookup;
  readonly tokens: PodTokens;
  /** Mode of token files: 0600 when one user runs every container, else the volume's own. */
  readonly tokenMode: number | undefined;
}

type RenderResult =
  | { readonly ok: true; readonly files: readonly VolumeFile[]; readonly refreshInMs: number }
  | { readonly ok: false; readonly message: string };

const NEVER_MS = Number.POSITIVE_INFINITY;
const DEFAULT_MODE = 0o644;
const TOKEN_SECONDS_DEFAULT = 3600;
const TOKEN_SECONDS_MIN = 600;

const failed = (message: string): RenderResult => ({ ok: false, message });
const rendered = (files: readonly VolumeFile[], refreshInMs = NEVER_MS): RenderResult => ({
  ok: true,
  files,
  refreshInMs,
});

function pick(
  what: string,
  data: Readonly<Record<string, Buffer>>,
  items: readonly KeyToPath[] | undefined,
  mode: number,
  optional: boolean,
): RenderResult {
  if (items === undefined || items.length === 0) {
    return rendered(Object.entries(data).map(([path, content]) => ({ path, content, mode })));
  }
  const files: VolumeFile[] = [];
  for (const item of items) {
    const content = data[item.key];
    if (content === undefined) {
      if (optional) continue;
      return failed(`${what} has no key ${item.key}`);
    }
    if (!isSafeRelativePath(item.path)) return failed(`${what}: path ${JSON.stringify(item.path)} leaves the volume`);
    files.push({ path: item.path, content, mode: item.mode ?? mode });
  }
  return rendered(files);
}

interface MapSource {
  readonly name: string;
  readonly items?: readonly KeyToPath[];
  readonly optional?: boolean;
}

function fromObject(
  context: RenderContext,
  kind: 'configmap' | 'secret',
  source: MapSource,
  mode: number,
): RenderResult {
  const namespace = context.pod.metadata.namespace ?? 'default';
  const what = `${kind} "${source.name}"`;
  let data: Record<string, Buffer> | undefined;
  if (kind === 'configmap') {
    const map = context.objects.configMap(namespace, source.name);
    data = map === undefined ? undefined : configMapData(map);
  } else {
    const secret = context.objects.secret(namespace, source.name);
    data = secret === undefined ? undefined : secretData(secret);
  }
  if (data === undefined) return source.optional === true ? rendered([]) : failed(`${what} not found`);
  return pick(what, data, source.items, mode, source.optional === true);
}

function fromDownward(context: RenderContext, items: readonly DownwardItem[] | undefined, mode: number): RenderResult {
  const files: VolumeFile[] = [];
  for (const item of items ?? []) {
    const value =
      item.fieldRef !== undefined
        ? fieldOf(context.pod, context.addresses, item.fieldRef.fieldPath)
        : item.resourceFieldRef !== undefined
          ? resourceOf(context.pod, undefined, item.resourceFieldRef)
          : { ok: false as const, message: 'neither fieldRef nor resourceFieldRef' };
    if (!value.ok) return failed(`downwardAPI ${item.path}: ${value.message}`);
    if (!isSafeRelativePath(item.path))
      return failed(`downwardAPI: path ${JSON.stringify(item.path)} leaves the volume`);
    files.push({ path: item.path, content: Buffer.from(value.value, 'utf8'), mode: item.mode ?? mode });
  }
  return rendered(files);
}

async function fromProjection(context: RenderContext, source: ProjectedSource, mode: number): Promise<RenderResult> {
  if (source.configMap !== undefined) return fromObject(context, 'configmap', source.configMap, mode);
  if (source.secret !== undefined) return fromObject(context, 'secret', source.secret, mode);
  if (source.downwardAPI !== undefined) return fromDownward(context, source.downwardAPI.items, mode);
  const wish = source.serviceAccountToken;
  if (wish === undefined) return failed('projected source of an unknown kind');
  if (!isSafeRelativePath(wish.path)) return failed(`token path ${JSON.stringify(wish.path)} leaves the volume`);
  const token = await context.tokens.get(context.pod, {
    audience: wish.audience,
    expirationSeconds: Math.max(wish.expirationSeconds ?? TOKEN_SECONDS_DEFAULT, TOKEN_SECONDS_MIN),
  });
  if (!token.ok) return failed(token.message);
  const file = { path: wish.path, content: Buffer.from(token.token, 'utf8'), mode: context.tokenMode ?? mode };
  return rendered([file], token.refreshInMs);
}

/** The files that a ConfigMap, Secret, downward API or projected volume holds now; `undefined` for a volume without files of its own. */
export async function renderVolume(volume: Volume, context: RenderContext): Promise<RenderResult | undefined> {
  if (volume.configMap !== undefined) {
    return fromObject(context, 'configmap', volume.configMap, volume.configMap.defaultMode ?? DEFAULT_MODE);
  }
  if (volume.secret !== undefined) {
    const source = { ...volume.secret, name: volume.secret.secretName };
    return fromObject(context, 'secret', source, volume.secret.defaultMode ?? DEFAULT_MODE);
  }
  if (volume.downwardAPI !== undefined) {
    return fromDownward(context, volume.downwardAPI.items, volume.downwardAPI.defaultMode ?? DEFAULT_MODE);
  }
  if (volume.projected === undefined) return undefined;
  const files: VolumeFile[] = [];
  let refreshInMs = NEVER_MS;
  for (const source of volume.projected.sources ?? []) {
    const part = await fromProjection(context, source, volume.projected.defaultMode ?? DEFAULT_MODE);
    if (!part.ok) return part;
    files.push(...part.files);
    refreshInMs = Math.min(refreshInMs, part.refreshInMs);
  }
  return rendered(files, refreshInMs);
}
