import type { Clock } from '@weft/policies/kit/clock';
import type { Prng } from '@weft/policies/kit/prng';
import { isAmong } from '@weft/policies/model/fraction';
import type { Mirror, MirrorDiff } from '@weft/policies/model/mirror';
import type { ForwardAction } from '@weft/policies/model/route';
import type { ClusterManager } from '../../cluster/manager.ts';
import type { Downstream, RequestHead, ResponseHead } from '../../http/exchange.ts';
import type { Headers } from '../../http/headers.ts';
import type { Recorder } from '../../telemetry/record.ts';
import { AnswerDigest } from './digest.ts';
import { noteMismatch } from './note.ts';
import { type MirrorDeps, type MirrorOutcome, MirrorRequest } from './request.ts';
import { shadowHost } from './shadow.ts';

/** Copies under way in this thread; more are not made. */
const ACTIVE_MAX = 1_024;
/** Envoy's for a route that says nothing, which is as good for its copies. */
const TIMEOUT_DEFAULT_MS = 15_000;

interface MirrorPorts {
  readonly clusters: ClusterManager;
  readonly clock: Clock;
  readonly prng: Prng;
  readonly recorder: Recorder;
  readonly onDemandWaitMsMax: number;
}

let active = 0;

/** The copies of one request, and what their answers have in common with the real one. */
export class MirrorSet {
  private readonly requests: MirrorRequest[] = [];
  private readonly ports: MirrorPorts;
  private readonly route: string;
  private readonly path: string;
  private readonly diff: MirrorDiff | undefined;
  private readonly real: AnswerDigest | undefined;
  /** Answered, and not compared yet. */
  private readonly waiting: MirrorRequest[] = [];
  private over = false;

  constructor(ports: MirrorPorts, route: string, head: RequestHead, diff: MirrorDiff | undefined) {
    this.ports = ports;
    this.route = route;
    const query = head.path.indexOf('?');
    this.path = query < 0 ? head.path : head.path.slice(0, query);
    this.diff = diff;
    this.real = diff && new AnswerDigest(diff);
  }

  send(mirror: Mirror, head: RequestHead, endOfRequest: boolean, deps: MirrorDeps): void {
    if (active >= ACTIVE_MAX) {
      this.ports.recorder.count('mirror.overflow');
      return;
    }
    active++;
    const headers = head.headers.clone();
    headers.remove('expect');
    const authority = mirror.keepsHost ? head.authority : shadowHost(head.authority);
    const copy: RequestHead = { ...head, headers, authority, expectContinue: false };
    const digest = this.diff && new AnswerDigest(this.diff);
    const request = new MirrorRequest(mirror, copy, endOfRequest, digest, deps, (one, outcome) =>
      this.onDone(one, outcome),
    );
    this.requests.push(request);
    request.start();
  }

  /** Pieces of the request. */
  write(chunk: Buffer, end: boolean): boolean {
    for (const request of this.requests) request.push(chunk, end);
    return true;
  }

  trailers(trailers: Headers): void {
    for (const request of this.requests) request.pushTrailers(trailers);
  }

  /** Of the answer that the client gets, as the upstream gave it. */
  onResponse(head: ResponseHead, end: boolean): void {
    this.real?.onHead(head, end);
  }

  onResponseData(chunk: Buffer, end: boolean): void {
    this.real?.onData(chunk, end);
  }

  onResponseTrailers(trailers: Headers): void {
    this.real?.onTrailers(trailers);
  }

  onEnd(): void {
    this.over = true;
    for (const request of this.requests) request.requestOver();
    for (const request of this.waiting.splice(0)) this.compare(request);
  }

  private onDone(request: MirrorRequest, outcome: MirrorOutcome): void {
    active--;
    const { recorder } = this.ports;
    recorder.count(`mirror.${outcome}`);
    recorder.tally?.('weft_mirror_requests_total', {
      route: this.route,
      backend: request.mirror.cluster,
      outcome,
      response_code: request.status,
    });
    if (this.real === undefined || outcome !== 'answered') return;
    if (this.over || this.real.done) this.compare(request);
    else this.waiting.push(request);
  }

  private compare({ digest, mirror }: MirrorRequest): void {
    const { real, route } = this;
    if (real === undefined || digest === undefined) return;
    const { recorder, clock } = this.ports;
    // The real request came to no answer of an upstream.
    if (!real.done || !digest.done) {
      recorder.count('mirror.not_compared');
      return;
    }
    const labels = { route, backend: mirror.cluster };
    recorder.tally?.('weft_mirror_compared_total', labels);
    const parts = real.differences(digest);
    for (const part of parts) recorder.tally?.('weft_mirror_mismatch_total', { ...labels, part });
    if (parts.length === 0) return;
    recorder.count('mirror.mismatch');
    noteMismatch(recorder, clock, {
      ...labels,
      path: this.path,
      parts,
      status: real.status,
      mirrorStatus: digest.status,
    });
  }
}

/** Sends the copies that the route wants; undefined where none is to be sent. */
export function startMirrors(
  ports: MirrorPorts,
  { head, endOfRequest }: Downstream,
  routeName: string,
  { timeoutMs: routeTimeoutMs, mirrorDiff }: ForwardAction,
  mirrors: readonly Mirror[],
): MirrorSet | undefined {
  let set: MirrorSet | undefined;
  const { clusters, clock, prng, onDemandWaitMsMax } = ports;
  for (const mirror of mirrors) {
    if (!isAmong(mirror.share, prng)) continue;
    set ??= new MirrorSet(ports, routeName, head, mirrorDiff);
    const timeoutMs = routeTimeoutMs > 0 ? routeTimeoutMs : TIMEOUT_DEFAULT_MS;
    const configurationDeadlineMs = clock.nowMs() + onDemandWaitMsMax;
    set.send(mirror, head, endOfRequest, { clusters, clock, timeoutMs, configurationDeadlineMs });
  }
  return set;
}
