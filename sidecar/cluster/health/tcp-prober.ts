import type { Duplex } from 'node:stream';
import type { HealthProbe } from '@weft/policies/model/health-check';
import type { CheckBounds } from './bounds.ts';
import type { CheckOutcome } from './host-health.ts';
import { ANSWER_BYTES_MAX, type Prober, type ProbeTarget } from './prober.ts';

type Tcp = Extract<HealthProbe, { kind: 'tcp' }>;

/** Opens a connection, and where bytes are wanted waits for them; only such a connection is worth keeping. */
export class TcpProber implements Prober {
  private readonly target: ProbeTarget;
  private readonly bounds: CheckBounds;
  private readonly send: Buffer;
  private readonly receive: readonly Buffer[];
  private socket: Duplex | undefined = undefined;
  private kept = false;
  private dialing: { cancel(): void } | undefined = undefined;
  private done: ((outcome: CheckOutcome) => void) | undefined = undefined;
  private received: Buffer = Buffer.alloc(0);

  constructor(target: ProbeTarget, probe: Tcp, bounds: CheckBounds) {
    this.target = target;
    this.bounds = bounds;
    this.send = Buffer.from(probe.send, 'hex');
    this.receive = probe.receive.map((hex) => Buffer.from(hex, 'hex'));
  }

  start(done: (outcome: CheckOutcome) => void): void {
    this.done = done;
    this.received = Buffer.alloc(0);
    if (this.socket === undefined) this.dial();
    else if (this.send.length > 0) this.socket.write(this.send);
  }

  cancel(): void {
    this.done = undefined;
    this.dialing?.cancel();
    this.dialing = undefined;
    this.dropConnection();
  }

  dropConnection(): void {
    const { socket } = this;
    this.socket = undefined;
    if (this.kept) this.bounds.dropConnection();
    this.kept = false;
    socket?.destroy();
  }

  private dial(): void {
    this.dialing = this.target.dial(this.target.request, (result) => {
      this.dialing = undefined;
      if ('error' in result) {
        this.finish('network');
        return;
      }
      this.connected(result.transport.socket);
    });
  }

  private connected(socket: Duplex): void {
    this.socket = socket;
    const gone = (): void => {
      if (this.socket !== socket) return;
      this.dropConnection();
      this.finish('network');
    };
    // Errors are followed by `close`, and would end the process if nobody listened.
    socket.on('error', () => undefined);
    socket.on('close', gone);
    socket.on('end', gone);
    socket.on('data', (chunk: Buffer) => this.onBytes(socket, chunk));
    if (this.receive.length > 0) this.kept = this.target.reuse && this.bounds.keepConnection();
    if (this.send.length > 0) socket.write(this.send);
    if (this.receive.length === 0) this.finish('success');
  }

  private onBytes(socket: Duplex, chunk: Buffer): void {
    if (socket !== this.socket || this.done === undefined) return;
    this.received = Buffer.concat([this.received, chunk]);
    if (this.matches()) this.finish('success');
    else if (this.received.length > ANSWER_BYTES_MAX) this.finish('failure');
  }

  /** Each in its order, with anything between them, as Envoy. */
  private matches(): boolean {
    let from = 0;
    for (const bytes of this.receive) {
      const at = this.received.indexOf(bytes, from);
      if (at === -1) return false;
      from = at + bytes.length;
    }
    return true;
  }

  private finish(outcome: CheckOutcome): void {
    const { done } = this;
    this.done = undefined;
    if (!this.kept || outcome !== 'success') this.dropConnection();
    done?.(outcome);
  }
}
