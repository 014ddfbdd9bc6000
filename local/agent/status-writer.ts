import { isConflict, isNotFound, type KubeClient } from '../client/client.ts';
import type { Pod, PodStatus } from '../client/objects.ts';
import { paths } from '../client/paths.ts';
import { type PodFacts, podStatusOf } from './status.ts';

interface StatusWriterPorts {
  readonly client: KubeClient;
  readonly pod: () => Pod;
  readonly facts: () => PodFacts;
  /** The status as the API now has it. */
  readonly written: (status: PodStatus) => void;
  readonly onError: (message: string) => void;
}

const RETRY_MS_MIN = 100;
const RETRY_MS_MAX = 5_000;

/** Writes a pod's status whenever it differs from what was written last: one write at a time, tried until it succeeds. */
export class StatusWriter {
  readonly #ports: StatusWriterPorts;
  #writing = false;
  #dirty = false;
  #closed = false;
  #last = '';

  constructor(ports: StatusWriterPorts) {
    this.#ports = ports;
  }

  soon(): void {
    this.#dirty = true;
    if (this.#writing || this.#closed) return;
    this.#writing = true;
    void this.#run();
  }

  close(): void {
    this.#closed = true;
  }

  async #run(): Promise<void> {
    // Several changes of one turn of the event loop make one write.
    await new Promise((resolve) => setImmediate(resolve));
    for (let waitMs = RETRY_MS_MIN; this.#dirty && !this.#closed; ) {
      this.#dirty = false;
      if (await this.now()) waitMs = RETRY_MS_MIN;
      else {
        this.#dirty = true;
        await new Promise((resolve) => setTimeout(resolve, waitMs));
        waitMs = Math.min(waitMs * 2, RETRY_MS_MAX);
      }
    }
    this.#writing = false;
  }

  /** One write; false when it should be tried again. */
  async now(): Promise<boolean> {
    const pod = this.#ports.pod();
    const { namespace, name, uid } = pod.metadata;
    const status = podStatusOf(pod, this.#ports.facts());
    const text = JSON.stringify(status);
    if (text === this.#last) return true;
    const result = await this.#ports.client.patch<Pod>(`${paths.core('pods', namespace, name)}/status`, {
      // The name may belong to a newer pod by now.
      metadata: { uid },
      status,
    });
    if (result.ok) {
      this.#last = text;
      if (result.value.metadata.uid === uid) this.#ports.written(result.value.status ?? status);
      return true;
    }
    if (isNotFound(result) || isConflict(result)) return true;
    this.#ports.onError(`status of pod ${namespace}/${name}: ${result.message}`);
    return false;
  }
}
