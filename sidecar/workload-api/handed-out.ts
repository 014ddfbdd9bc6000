import type { SpiffeId } from '@weft/policies/identity/spiffe-id';
import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import { IdentityManager, type SignedChain } from '../identity/manager.ts';
import type { KeyMaterial } from '../identity/material.ts';
import type { StateDir } from '../identity/state-dir.ts';
import type { HandedOut } from './service.ts';

/** Ends with the process. */
export function memoryState(): StateDir {
  const files = new Map<string, Buffer>();
  return {
    path: '',
    read: (file) => files.get(file),
    write(file, content) {
      files.set(file, Buffer.from(content));
      return undefined;
    },
  };
}

interface HandedOutOptions {
  readonly spiffeId: SpiffeId;
  readonly sign: (csr: Uint8Array) => Promise<SignedChain>;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly log: (line: string) => void;
  readonly count: (event: string) => void;
}

/**
 * The same identity with a key of its own: programs get this one, never the key of the proxy or agent. Signed when it is
 * first asked for.
 */
export class HandedOutIdentity implements HandedOut {
  readonly manager: IdentityManager;
  private started = false;

  constructor(options: HandedOutOptions) {
    this.manager = new IdentityManager({ ...options, state: memoryState() });
  }

  material(): KeyMaterial | undefined {
    if (!this.started) {
      this.started = true;
      this.manager.start();
    }
    return this.manager.material;
  }

  onChange(listener: () => void): () => void {
    return this.manager.onChange(listener);
  }

  close(): void {
    this.manager.close();
  }
}
