import { chmodSync, chownSync, mkdirSync, realpathSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import type { Container, Pod, Volume } from '../../client/objects.ts';
import { MS_NODEV, MS_NOSUID, mount, unmount } from '../../node/syscalls.ts';
import type { ObjectLookup } from '../env.ts';
import { type PodAddresses, quantity } from '../fields.ts';
import type { Bind } from '../launch-plan.ts';
import { containerUser } from '../users.ts';
import { isSafeRelativePath, writeAtomically } from './atomic-directory.ts';
import { renderVolume } from './render.ts';
import type { PodTokens } from './tokens.ts';

type VolumeResult = { readonly ok: true } | { readonly ok: false; readonly message: string };
type BindResult =
  | { readonly ok: true; readonly binds: readonly Bind[] }
  | { readonly ok: false; readonly message: string };

const EMPTY_DIR_BYTES_DEFAULT = 1 << 30;
const TIMER_MS_MAX = 2 ** 31 - 1;

/** The volumes of one pod: folders on the agent's tmpfs, kept up to date while the pod runs. */
export class PodVolumes {
  readonly #directory: string;
  readonly #objects: ObjectLookup;
  readonly #tokens: PodTokens;
  readonly #emptyDirs = new Set<string>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;
  #running: Promise<VolumeResult> | undefined;

  constructor(podDirectory: string, objects: ObjectLookup, tokens: PodTokens) {
    this.#directory = join(podDirectory, 'volumes');
    this.#objects = objects;
    this.#tokens = tokens;
  }

  #path(name: string): string {
    return join(this.#directory, name);
  }

  /** Brings every volume up to date; safe to call again at any time. */
  async update(pod: Pod, addresses: PodAddresses): Promise<VolumeResult> {
    // One at a time: two writers would swap each other's folders.
    while (this.#running !== undefined) await this.#running;
    this.#running = this.#updateAll(pod, addresses);
    try {
      return await this.#running;
    } finally {
      this.#running = undefined;
    }
  }

  async #updateAll(pod: Pod, addresses: PodAddresses): Promise<VolumeResult> {
    if (this.#closed) return { ok: true };
    mkdirSync(this.#directory, { recursive: true, mode: 0o711 });
    let refreshInMs = Number.POSITIVE_INFINITY;
    for (const volume of pod.spec.volumes ?? []) {
      if (volume.emptyDir !== undefined) {
        this.#emptyDir(pod, volume);
        continue;
      }
      const owner = tokenOwner(pod);
      const files = await renderVolume(volume, {
        pod,
        addresses,
        objects: this.#objects,
        tokens: this.#tokens,
        tokenMode: owner?.mode,
      });
      if (this.#closed) return { ok: true };
      if (files === undefined)
        return { ok: false, message: `volume "${volume.name}": this kind of volume is not supported here` };
      if (!files.ok) return { ok: false, message: `volume "${volume.name}": ${files.message}` };
      refreshInMs = Math.min(refreshInMs, files.refreshInMs);
      const gid = pod.spec.securityContext?.fsGroup ?? 0;
      writeAtomically(this.#path(volume.name), files.files, { uid: owner?.uid ?? 0, gid });
    }
    this.#scheduleRefresh(pod, addresses, refreshInMs);
    return { ok: true };
  }

  #scheduleRefresh(pod: Pod, addresses: PodAddresses, inMs: number): void {
    clearTimeout(this.#timer);
    if (!Number.isFinite(inMs) || this.#closed) return;
    this.#timer = setTimeout(() => void this.update(pod, addresses), Math.min(inMs + 50, TIMER_MS_MAX));
    this.#timer.unref();
  }

  /** Plain and `Memory` alike are a tmpfs of their own: bounded, and gone with the pod. */
  #emptyDir(pod: Pod, volume: Volume): void {
    if (this.#emptyDirs.has(volume.name)) return;
    const path = this.#path(volume.name);
    mkdirSync(path, { recursive: true });
    const limit = volume.emptyDir?.sizeLimit;
    const bytes = Math.floor((limit === undefined ? undefined : quantity(limit)) ?? EMPTY_DIR_BYTES_DEFAULT);
    mount('tmpfs', path, 'tmpfs', MS_NOSUID | MS_NODEV, `mode=0777,size=${Math.max(bytes, 4096)}`);
    this.#emptyDirs.add(volume.name);
    const group = pod.spec.securityContext?.fsGroup;
    if (group === undefined) return;
    chownSync(path, 0, group);
    chmodSync(path, 0o2777);
  }

  /** Where the container's volumeMounts point to on this machine. */
  binds(pod: Pod, container: Container): BindResult {
    const binds: Bind[] = [];
    for (const wish of container.volumeMounts ?? []) {
      const volume = pod.spec.volumes?.find((item) => item.name === wish.name);
      if (volume === undefined) return { ok: false, message: `volumeMount "${wish.name}" names no volume of the pod` };
      if (!wish.mountPath.startsWith('/')) return { ok: false, message: `mountPath ${wish.mountPath} is not absolute` };
      let source = this.#path(wish.name);
      if (wish.subPath !== undefined && wish.subPath !== '') {
        if (!isSafeRelativePath(wish.subPath))
          return { ok: false, message: `subPath ${wish.subPath} leaves the volume` };
        source = join(source, wish.subPath);
        if (volume.emptyDir !== undefined) {
          mkdirSync(source, { recursive: true });
          chmodSync(source, 0o777);
        }
        try {
          // Links inside a volume are the container's to make: they must not lead out of it.
          const real = realpathSync(source);
          if (!real.startsWith(`${realpathSync(this.#path(wish.name))}/`)) {
            return { ok: false, message: `subPath ${wish.subPath} leaves the volume` };
          }
          source = real;
        } catch {
          return { ok: false, message: `subPath ${wish.subPath} is not in volume "${wish.name}"` };
        }
      }
      binds.push({
        source,
        target: wish.mountPath,
        // Volumes with content from the API are read-only in Kubernetes, whatever the mount says.
        readOnly: wish.readOnly === true || volume.emptyDir === undefined,
      });
    }
    return { ok: true, binds };
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    for (const name of this.#emptyDirs) {
      try {
        unmount(this.#path(name));
      } catch {
        // Not mounted any more: nothing left to undo.
      }
    }
    rmSync(this.#directory, { recursive: true, force: true });
  }
}

/**
 * Kubelet's rule for token files: with an fsGroup they are 0600 and the group may read them by its own bit; when every container runs as
 * one user the file is that user's alone; else the volume's mode stands.
 */
function tokenOwner(pod: Pod): { readonly uid: number; readonly mode: number } | undefined {
  if (pod.spec.securityContext?.fsGroup !== undefined) return { uid: 0, mode: 0o640 };
  const users = new Set(
    [...(pod.spec.initContainers ?? []), ...pod.spec.containers].map((item) => containerUser(pod, item).uid),
  );
  const [only] = users;
  return users.size === 1 && only !== undefined ? { uid: only, mode: 0o600 } : undefined;
}
