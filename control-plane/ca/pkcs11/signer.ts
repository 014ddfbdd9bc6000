/** Signs with a key that never leaves its token. A slow token keeps its own thread waiting and nobody else. */
import { createHash } from 'node:crypto';
import { Worker } from 'node:worker_threads';
import * as der from '@weft/policies/identity/x509/der';
import { errorText } from '@weft/policies/kit/error-text';
import type { KeyPlace } from './module.ts';

export interface Pkcs11Setup extends KeyPlace {
  readonly pinFile: string;
}

export interface Pkcs11Request {
  readonly id: number;
  readonly digest: Uint8Array;
}

export interface Pkcs11Answer {
  readonly id: number;
  readonly signature: Uint8Array | undefined;
  readonly error: string | undefined;
}

interface Waiting {
  resolve(signature: Uint8Array): void;
  reject(error: Error): void;
  readonly timer: NodeJS.Timeout;
}

const waitingMax = 512;
const signMsMax = 10_000;
const scalarBytes = 32;

/** The source, or its bundle beside this one. */
const entry = new URL(`./worker${import.meta.url.endsWith('.ts') ? '.ts' : '.js'}`, import.meta.url);

export class Pkcs11Signer {
  readonly counters = { signed: 0, failed: 0, refused: 0, restarts: 0 };
  private readonly setup: Pkcs11Setup;
  private readonly waiting = new Map<number, Waiting>();
  private worker: Worker | undefined;
  private nextId = 0;

  constructor(setup: Pkcs11Setup) {
    this.setup = setup;
  }

  /** DER of ECDSA-Sig-Value. */
  readonly sign = (toBeSigned: Uint8Array): Promise<Uint8Array> => {
    if (this.waiting.size >= waitingMax) {
      this.counters.refused += 1;
      return Promise.reject(new Error(`${waitingMax} signatures wait for the token`));
    }
    const digest = createHash('sha256').update(toBeSigned).digest();
    const id = this.nextId++;
    return new Promise<Uint8Array>((resolve, reject) => {
      const timer = setTimeout(() => this.restart(`the token has not answered for ${signMsMax} ms`), signMsMax);
      this.waiting.set(id, { resolve, reject, timer });
      const request: Pkcs11Request = { id, digest };
      this.thread().postMessage(request);
    });
  };

  stop(): void {
    this.restart('the control plane is stopping');
  }

  private thread(): Worker {
    if (this.worker !== undefined) return this.worker;
    const worker = new Worker(entry, { workerData: this.setup, name: 'pkcs11' });
    this.worker = worker;
    // The token alone is no reason to go on.
    worker.unref();
    worker.on('message', (answer: Pkcs11Answer) => this.take(answer));
    worker.on('error', (error) => {
      if (this.worker === worker) this.restart(errorText(error));
    });
    worker.on('exit', () => {
      if (this.worker === worker) this.restart('the thread of the token ended');
    });
    return worker;
  }

  private take({ id, signature, error }: Pkcs11Answer): void {
    const waiting = this.waiting.get(id);
    if (waiting === undefined) return;
    this.waiting.delete(id);
    clearTimeout(waiting.timer);
    if (signature?.length === 2 * scalarBytes) {
      this.counters.signed += 1;
      waiting.resolve(toDer(signature));
      return;
    }
    this.counters.failed += 1;
    waiting.reject(new Error(`PKCS#11: ${error ?? 'the signature is not of 64 octets'}`));
  }

  /** What waits is told; the next request gets another thread, and with it another session. */
  private restart(reason: string): void {
    const { worker } = this;
    this.worker = undefined;
    if (worker !== undefined) this.counters.restarts += 1;
    void worker?.terminate();
    for (const waiting of this.waiting.values()) {
      clearTimeout(waiting.timer);
      this.counters.failed += 1;
      waiting.reject(new Error(`PKCS#11: ${reason}`));
    }
    this.waiting.clear();
  }
}

/** RFC 3279 section 2.2.3: the token answers r and s one behind the other. */
const toDer = (signature: Uint8Array): Uint8Array =>
  der.encode(
    der.sequence(
      der.unsignedInteger(signature.subarray(0, scalarBytes)),
      der.unsignedInteger(signature.subarray(scalarBytes)),
    ),
  );
