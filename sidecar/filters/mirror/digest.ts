import { createHash, type Hash } from 'node:crypto';
import type { MirrorDiff } from '@weft/policies/model/mirror';
import type { ResponseHead } from '../../http/exchange.ts';
import { grpcStatusOf } from '../../http/grpc-status.ts';
import type { Headers } from '../../http/headers.ts';

export type DifferingPart = 'status' | 'header' | 'body';

/** What is kept of an answer to compare it with another: a hash of its body as it goes by, and nothing of the body itself. */
export class AnswerDigest {
  status = 0;
  done = false;
  private readonly diff: MirrorDiff;
  private grpcStatus = -1;
  private headers: readonly (string | undefined)[] = [];
  private bytes = 0;
  private readonly hash: Hash | undefined;
  private bodyHash = '';

  constructor(diff: MirrorDiff) {
    this.diff = diff;
    this.hash = diff.ignoresBody ? undefined : createHash('sha256');
  }

  onHead({ status, headers }: ResponseHead, end: boolean): void {
    this.status = status;
    this.grpcStatus = grpcStatusOf(headers);
    this.headers = this.diff.headers.map((name) => headers.combined(name));
    if (end) this.finish();
  }

  onData(chunk: Buffer, end: boolean): void {
    const room = this.diff.bodyBytesMax - this.bytes;
    if (room > 0) this.hash?.update(chunk.length > room ? chunk.subarray(0, room) : chunk);
    this.bytes += chunk.length;
    if (end) this.finish();
  }

  onTrailers(trailers: Headers): void {
    if (this.grpcStatus < 0) this.grpcStatus = grpcStatusOf(trailers);
    this.finish();
  }

  /** Of two that are done. Bodies beyond the bound of the hash differ by their lengths, if at all. */
  differences(other: AnswerDigest): DifferingPart[] {
    const parts: DifferingPart[] = [];
    if (this.status !== other.status || this.grpcStatus !== other.grpcStatus) parts.push('status');
    if (this.headers.some((value, index) => value !== other.headers[index])) parts.push('header');
    if (this.hash !== undefined && (this.bodyHash !== other.bodyHash || this.bytes !== other.bytes)) parts.push('body');
    return parts;
  }

  private finish(): void {
    if (this.done) return;
    this.done = true;
    if (this.hash !== undefined) this.bodyHash = this.hash.digest('base64');
  }
}
