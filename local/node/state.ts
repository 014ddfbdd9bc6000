import { mkdirSync, readdirSync, readFileSync, renameSync, rmSync, writeFileSync } from 'node:fs';
import { dirname } from 'node:path';
import { checkMeshName, RUN_ROOT } from './names.ts';
import type { ProcessRef } from './processes.ts';

/** What a running mesh leaves in /run, so that a later start or `weft down` can find and clear it after a kill. */
interface MeshState {
  readonly mesh: string;
  readonly slot: number;
  /** The starter first, then the agent. */
  readonly processes: readonly ProcessRef[];
  readonly dataDir: string;
}

function stateFileOf(mesh: string): string {
  return `${RUN_ROOT}/${mesh}/state.json`;
}

export function readMeshState(mesh: string): MeshState | undefined {
  try {
    const value: unknown = JSON.parse(readFileSync(stateFileOf(mesh), 'utf8'));
    return isMeshState(value) && value.mesh === mesh ? value : undefined;
  } catch {
    return undefined;
  }
}

/** Written whole and renamed, so that a reader never sees half of it. */
export function writeMeshState(state: MeshState): void {
  const file = stateFileOf(state.mesh);
  mkdirSync(dirname(file), { recursive: true, mode: 0o711 });
  writeFileSync(`${file}.new`, `${JSON.stringify(state)}\n`, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}

export function removeMeshState(mesh: string): void {
  if (checkMeshName(mesh) === undefined) rmSync(`${RUN_ROOT}/${mesh}`, { recursive: true, force: true });
}

export function recordedMeshes(): MeshState[] {
  let names: string[];
  try {
    names = readdirSync(RUN_ROOT);
  } catch {
    return [];
  }
  return names.map(readMeshState).filter((state) => state !== undefined);
}

function isMeshState(value: unknown): value is MeshState {
  return (
    typeof value === 'object' &&
    value !== null &&
    'mesh' in value &&
    typeof value.mesh === 'string' &&
    'slot' in value &&
    typeof value.slot === 'number' &&
    'dataDir' in value &&
    typeof value.dataDir === 'string' &&
    'processes' in value &&
    Array.isArray(value.processes) &&
    value.processes.every(
      (item: unknown) =>
        typeof item === 'object' &&
        item !== null &&
        'pid' in item &&
        typeof item.pid === 'number' &&
        'startTime' in item &&
        typeof item.startTime === 'string',
    )
  );
}
