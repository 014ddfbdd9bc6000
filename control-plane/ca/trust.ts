/** What the mesh trusts of its own domain, as it changes while everything runs. */
import { encodePem } from '@weft/policies/identity/x509/pem';

/**
 * The anchors against which certificates of the mesh's own trust domain are verified. Whoever needs them holds this and
 * never a copy: during a rotation there are two of them for a while.
 */
export interface OwnTrust {
  /** DER. The same array until the next change. */
  anchors(): readonly Uint8Array[];
  /** The same certificates in PEM. */
  pem(): string;
  /** Called after each change, within the turn in which it happens. The answer ends it. */
  onChange(listener: () => void): () => void;
}

const sameBytes = (a: Uint8Array, b: Uint8Array | undefined): boolean => b !== undefined && Buffer.compare(a, b) === 0;

export class Anchors implements OwnTrust {
  private readonly listeners = new Set<() => void>();
  private held: readonly Uint8Array[];
  private text: string;

  constructor(anchors: readonly Uint8Array[]) {
    this.held = anchors;
    this.text = toPem(anchors);
  }

  anchors(): readonly Uint8Array[] {
    return this.held;
  }

  pem(): string {
    return this.text;
  }

  onChange(listener: () => void): () => void {
    this.listeners.add(listener);
    return () => void this.listeners.delete(listener);
  }

  /** False when they are the ones that hold already. */
  replace(anchors: readonly Uint8Array[]): boolean {
    if (anchors.length === this.held.length && anchors.every((one, index) => sameBytes(one, this.held[index])))
      return false;
    this.held = anchors;
    this.text = toPem(anchors);
    for (const listener of this.listeners) listener();
    return true;
  }
}

const toPem = (anchors: readonly Uint8Array[]): string => anchors.map((der) => encodePem('CERTIFICATE', der)).join('');
