import { isNotFound } from '../client/client.ts';
import type { Condition, Pod } from '../client/objects.ts';
import { paths } from '../client/paths.ts';
import { createKeyQueue, type KeyQueue } from '../client/queue.ts';
import { keyOf } from '../client/reflector.ts';
import type { Context, Controller } from './context.ts';
import type { Job } from './kinds.ts';
import { controllerOf } from './selector.ts';
import { canonical, isPodActive, podFromTemplate } from './template.ts';

const BACKOFF_LIMIT_DEFAULT = 6;
const BACKOFF_MS_MIN = 1_000;
const BACKOFF_MS_MAX = 60_000;

const seconds = (): string => new Date().toISOString().replace(/\.\d+Z$/, 'Z');

/** Runs Jobs with one completion: a pod at a time until one succeeds or too many have failed. */
export class JobController implements Controller {
  readonly #context: Context;
  readonly #queue: KeyQueue;
  readonly #unseen = new Map<string, string>();

  constructor(context: Context) {
    this.#context = context;
    this.#queue = createKeyQueue({
      work: (key) => this.#sync(key),
      onError: (key, error) => context.onError(`job ${key}: ${String(error)}`),
    });
    context.jobs.onChange((key) => this.#queue.add(key));
    context.pods.onChange((_key, now, before) => {
      const pod = now ?? before;
      const owner = pod === undefined ? undefined : controllerOf(pod.metadata);
      if (pod === undefined || owner?.kind !== 'Job') return;
      if (this.#unseen.get(owner.uid) === pod.metadata.uid) this.#unseen.delete(owner.uid);
      this.#queue.add(`${pod.metadata.namespace}/${owner.name}`);
    });
  }

  async #sync(key: string): Promise<'done' | 'retry'> {
    const job = this.#context.jobs.get(key);
    if (job === undefined || job.metadata.deletionTimestamp !== undefined) return 'done';
    const finished = job.status?.conditions?.some((item) => item.status === 'True' && item.type !== 'Suspended');
    const pods = this.#context.pods
      .list()
      .filter(
        (pod) =>
          controllerOf(pod.metadata)?.uid === job.metadata.uid && pod.metadata.namespace === job.metadata.namespace,
      );
    if (finished === true) return this.#expire(job);
    const active = pods.filter(isPodActive);
    const succeeded = pods.filter((pod) => pod.status?.phase === 'Succeeded').length;
    const failed = pods.filter((pod) => pod.status?.phase === 'Failed').length;
    const unseen = this.#unseen.has(job.metadata.uid ?? '') ? 1 : 0;
    const exhausted = failed > (job.spec.backoffLimit ?? BACKOFF_LIMIT_DEFAULT);
    if (succeeded === 0 && !exhausted && active.length + unseen === 0 && job.spec.suspend !== true) {
      const waitMs = this.#backoffMs(pods, failed);
      if (waitMs > 0) this.#queue.add(key, waitMs);
      else if (!(await this.#create(job))) return 'retry';
    }
    return this.#writeStatus(job, active.length, succeeded, failed, exhausted);
  }

  #backoffMs(pods: readonly Pod[], failed: number): number {
    if (failed === 0) return 0;
    const ends = pods
      .flatMap((pod) => pod.status?.containerStatuses ?? [])
      .map((item) => Date.parse(item.state.terminated?.finishedAt ?? '') || 0);
    const pauseMs = Math.min(BACKOFF_MS_MIN * 2 ** (failed - 1), BACKOFF_MS_MAX);
    return Math.max(0, Math.max(0, ...ends) + pauseMs - Date.now());
  }

  async #create(job: Job): Promise<boolean> {
    const owner = { ...job, apiVersion: 'batch/v1', kind: 'Job' };
    const made = await this.#context.client.create<Pod>(
      paths.core('pods', job.metadata.namespace),
      podFromTemplate(owner, job.spec.template),
    );
    if (!made.ok) {
      this.#context.events.event(owner, 'Warning', 'FailedCreate', made.message);
      return false;
    }
    const { name, uid } = made.value.metadata;
    if (this.#context.pods.get(`${job.metadata.namespace}/${name}`) === undefined)
      this.#unseen.set(job.metadata.uid ?? '', uid ?? '');
    this.#context.events.event(owner, 'Normal', 'SuccessfulCreate', `Created pod: ${name}`);
    return true;
  }

  async #expire(job: Job): Promise<'done' | 'retry'> {
    const ttl = job.spec.ttlSecondsAfterFinished;
    if (ttl === undefined) return 'done';
    const end = job.status?.conditions?.find((item) => item.status === 'True')?.lastTransitionTime;
    const leftMs = (Date.parse(end ?? '') || 0) + ttl * 1000 - Date.now();
    if (leftMs > 0) {
      this.#queue.add(keyOf(job), Math.min(leftMs, 2 ** 31 - 1));
      return 'done';
    }
    const removed = await this.#context.client.remove(paths.batch('jobs', job.metadata.namespace, job.metadata.name), {
      propagationPolicy: 'Background',
    });
    return removed.ok || isNotFound(removed) ? 'done' : 'retry';
  }

  async #writeStatus(
    job: Job,
    active: number,
    succeeded: number,
    failed: number,
    exhausted: boolean,
  ): Promise<'done' | 'retry'> {
    const at = seconds();
    const end = (type: string, reason: string, message: string): Condition => ({
      type,
      status: 'True',
      reason,
      message,
      lastProbeTime: at,
      lastTransitionTime: at,
    });
    const conditions =
      succeeded > 0
        ? [end('Complete', 'CompletionsReached', 'Reached expected number of succeeded pods')]
        : exhausted && active === 0
          ? [end('Failed', 'BackoffLimitExceeded', 'Job has reached the specified backoff limit')]
          : [];
    const status = {
      active,
      succeeded,
      failed,
      ready: active,
      startTime: job.status?.startTime ?? at,
      ...(succeeded > 0 ? { completionTime: job.status?.completionTime ?? at } : {}),
      ...(conditions.length === 0 ? {} : { conditions }),
    };
    if (canonical(status) === canonical(job.status)) return 'done';
    const path = `${paths.batch('jobs', job.metadata.namespace, job.metadata.name)}/status`;
    const written = await this.#context.client.patch(path, { metadata: { uid: job.metadata.uid }, status });
    return written.ok || isNotFound(written) ? 'done' : 'retry';
  }

  close(): Promise<void> {
    return this.#queue.close();
  }
}
