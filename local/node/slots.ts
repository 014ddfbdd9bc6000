import { networkInterfaces } from 'node:os';
import { SLOT_COUNT } from './names.ts';
import { isAlive } from './processes.ts';
import { readMeshState, recordedMeshes } from './state.ts';

export interface SlotView {
  /** Slots recorded by other meshes whose processes are alive. */
  readonly taken: readonly number[];
  /** The slot that this mesh had before: kept when free, so that addresses stay the same from start to start. */
  readonly previous: number | undefined;
  readonly linkNames: readonly string[];
}

/** The slot for a mesh: its former one if free, else the lowest free one; `undefined` when all 16 are in use. */
export function chooseSlot(view: SlotView): number | undefined {
  const free = (slot: number): boolean => !view.taken.includes(slot) && !view.linkNames.includes(`weft${slot}`);
  if (view.previous !== undefined && free(view.previous)) return view.previous;
  for (let slot = 0; slot < SLOT_COUNT; slot++) if (free(slot)) return slot;
  return undefined;
}

export function viewSlots(mesh: string): SlotView {
  const others = recordedMeshes().filter((state) => state.mesh !== mesh);
  return {
    // A dead mesh's slot counts as taken while its namespaces may still be there: `weft down` frees it.
    taken: others.map((state) => state.slot),
    previous: readMeshState(mesh)?.slot,
    linkNames: Object.keys(networkInterfaces()),
  };
}

/** The first recorded process is the starter. An agent that outlives it is on its way out and may be cleared. */
export function isMeshRunning(mesh: string): boolean {
  const starter = readMeshState(mesh)?.processes[0];
  return starter !== undefined && isAlive(starter);
}
