import { type H2Error, h2Error } from './h2-error.ts';

const WINDOW_MS = 10_000;
/** Resets within the window that any client may make; beyond, no more than half of what it opens. */
const RESETS_MAX = 200;
/** Another sidecar carries the requests of many clients, whose timeouts come together when an application hangs. */
const MESH_RESETS_MAX = 5_000;
/** PING, SETTINGS, PRIORITY and frames of unknown types. */
const CONTROL_FRAMES_MAX = 1_000;
/** DATA without content and without END_STREAM. */
const EMPTY_FRAMES_MAX = 1_000;
const WINDOW_UPDATES_MAX = 2_000;
/** WINDOW_UPDATE for the stream and for the connection, PINGs that measure the path: a few for each frame of content. */
const PER_WORK_FRAME = 2;

/**
 * Counts what costs this side more than the peer: within a window of time, and in proportion to the useful work that
 * the connection carries (RFC 9113 section 10.5).
 */
export class FloodGuard {
  private readonly nowMs: () => number;
  private windowStartMs: number;
  private opened = 0;
  private resets = 0;
  private controls = 0;
  private empties = 0;
  private updates = 0;
  private workAtStart = 0;

  private readonly resetsMax: number;

  constructor(nowMs: () => number, mesh: boolean) {
    this.nowMs = nowMs;
    this.resetsMax = mesh ? MESH_RESETS_MAX : RESETS_MAX;
    this.windowStartMs = nowMs();
  }

  onStream(): void {
    this.opened++;
  }

  /** A stream ended by RST_STREAM, sent by the peer or provoked by it. */
  onReset(): H2Error | undefined {
    if (++this.resets <= this.resetsMax || this.resets * 2 <= this.opened || this.renew(0)) return undefined;
    return h2Error('reset-flood', `${this.resets} of ${this.opened} streams reset within ${WINDOW_MS / 1000} s`);
  }

  /** `work`: frames with content that the connection has carried so far, both ways. */
  onControlFrame(work: number): H2Error | undefined {
    if (++this.controls <= this.allowed(CONTROL_FRAMES_MAX, work) || this.renew(work)) return undefined;
    return h2Error('control-flood', `${this.controls} control frames within ${WINDOW_MS / 1000} s`);
  }

  onEmptyFrame(): H2Error | undefined {
    if (++this.empties <= EMPTY_FRAMES_MAX || this.renew(0)) return undefined;
    return h2Error('empty-frame-flood', `${this.empties} empty frames within ${WINDOW_MS / 1000} s`);
  }

  onWindowUpdate(work: number): H2Error | undefined {
    if (++this.updates <= this.allowed(WINDOW_UPDATES_MAX, work) || this.renew(work)) return undefined;
    return h2Error('window-update-flood', `${this.updates} WINDOW_UPDATE frames within ${WINDOW_MS / 1000} s`);
  }

  private allowed(least: number, work: number): number {
    return least + PER_WORK_FRAME * (work - this.workAtStart);
  }

  /** The window of time is looked at only when a bound is hit. */
  private renew(work: number): boolean {
    const nowMs = this.nowMs();
    if (nowMs - this.windowStartMs < WINDOW_MS) return false;
    this.windowStartMs = nowMs;
    this.workAtStart = Math.max(work, this.workAtStart);
    this.opened = 0;
    this.resets = 0;
    this.controls = 0;
    this.empties = 0;
    this.updates = 0;
    return true;
  }
}
