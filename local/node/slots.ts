import { closeSync, mkdirSync, openSync, rmSync, statSync } from 'node:fs';
import { networkInterfaces } from 'node:os';
import { RUN_ROOT, SLOT_COUNT } from './names.ts';
import { isAlive } from './processes.ts';
import { readMeshState, recordedMeshes } from './state.ts';

interface SlotView {
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

export function viewSlots(mesh: string, previous: number | undefined): SlotView {
  const others = recordedMeshes().filter((state) => state.mesh !== mesh);
  return {
    // A dead mesh's slot counts as taken while its namespaces may still be there: `weft down` frees it.
    taken: others.map((state) => state.slot),
    previous,
    linkNames: Object.keys(networkInterfaces()),
  };
}

/** The first recorded process is the starter. An agent that outlives it is on its way out and may be cleared. */
export function isMeshRunning(mesh: string): boolean {
  const starter = readMeshState(mesh)?.processes[0];
  return starter !== undefined && isAlive(starter);
}

const LOCK_FILE = `${RUN_ROOT}/slots.lock`;
/** The lock is held for one synchronous step: one this old belongs to a process that was killed inside it. */
const LOCK_STALE_MS = 2_000;
const LOCK_WAIT_MS_MAX = 10_000;

/** Runs `choose` while no other process chooses a slot, so that meshes that start at once get different ones. */
export async function withSlotLock<T>(choose: () => T): Promise<T | undefined> {
  mkdirSync(RUN_ROOT, { recursive: true, mode: 0o711 });
  const deadline = performance.now() + LOCK_WAIT_MS_MAX;
  while (performance.now() < deadline) {
    if (takeLock()) {
      try {
        return choose();
      } finally {
        rmSync(LOCK_FILE, { force: true });
      }
    }
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
  return undefined;
}

function takeLock(): boolean {
  try {
    closeSync(openSync(LOCK_FILE, 'wx', 0o600));
    return true;
  } catch {
    try {
      if (Date.now() - statSync(LOCK_FILE).mtimeMs > LOCK_STALE_MS) rmSync(LOCK_FILE, { force: true });
    } catch {
      // Released in between.
    }
    return false;
  }
}
