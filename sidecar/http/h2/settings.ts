import { FRAME_PAYLOAD_BYTES_MAX, readUint32, WINDOW_BYTES_INITIAL, WINDOW_BYTES_MAX } from './frames.ts';
import { type H2Error, h2Error } from './h2-error.ts';

/** Identifiers (RFC 9113 section 6.5.2, RFC 8441 section 3). */
export const HEADER_TABLE_SIZE = 1;
export const ENABLE_PUSH = 2;
export const MAX_CONCURRENT_STREAMS = 3;
export const INITIAL_WINDOW_SIZE = 4;
export const MAX_FRAME_SIZE = 5;
export const MAX_HEADER_LIST_SIZE = 6;
export const ENABLE_CONNECT_PROTOCOL = 8;

export const SETTING_BYTES = 6;
/** HEADER_TABLE_SIZE until it is said otherwise. */
export const INITIAL_TABLE_BYTES = 4_096;
/** Of one frame; what is defined is seven, and repeated ones mean nothing. */
const SETTINGS_PER_FRAME_MAX = 64;

/** Whose table is as large as the peer allows. */
interface TableOwner {
  setPeerTableBytesMax(bytes: number): void;
}

/** What the peer announced; the initial values are those of RFC 9113 section 6.5.2. */
export class PeerSettings {
  /** Infinity: no limit. */
  concurrentStreamsMax = Number.POSITIVE_INFINITY;
  initialWindowBytes = WINDOW_BYTES_INITIAL;
  framePayloadBytesMax = FRAME_PAYLOAD_BYTES_MAX;
  headerListBytesMax = Number.POSITIVE_INFINITY;
  connectProtocol = false;

  /** Takes a SETTINGS payload, whose length is a multiple of six. */
  apply(buffer: Buffer, start: number, end: number, fromServer: boolean, encoder: TableOwner): H2Error | undefined {
    if (end - start > SETTINGS_PER_FRAME_MAX * SETTING_BYTES) {
      return h2Error('control-flood', `more than ${SETTINGS_PER_FRAME_MAX} settings in a frame`);
    }
    for (let at = start; at < end; at += SETTING_BYTES) {
      const id = ((buffer[at] ?? 0) << 8) | (buffer[at + 1] ?? 0);
      const value = readUint32(buffer, at + 2);
      const error = this.set(id, value, fromServer);
      if (error !== undefined) return error;
      // Each of several, in turn: the smallest has to be signalled (RFC 7541 section 4.2).
      if (id === HEADER_TABLE_SIZE) encoder.setPeerTableBytesMax(value);
    }
    return undefined;
  }

  private set(id: number, value: number, fromServer: boolean): H2Error | undefined {
    switch (id) {
      case ENABLE_PUSH:
        if (value > 1 || (fromServer && value === 1)) return h2Error('settings-value', `ENABLE_PUSH ${value}`);
        return undefined;
      case MAX_CONCURRENT_STREAMS:
        this.concurrentStreamsMax = value;
        return undefined;
      case INITIAL_WINDOW_SIZE:
        if (value > WINDOW_BYTES_MAX) return h2Error('settings-window', `INITIAL_WINDOW_SIZE ${value}`);
        this.initialWindowBytes = value;
        return undefined;
      case MAX_FRAME_SIZE:
        if (value < 16_384 || value > 16_777_215) return h2Error('settings-value', `MAX_FRAME_SIZE ${value}`);
        this.framePayloadBytesMax = value;
        return undefined;
      case MAX_HEADER_LIST_SIZE:
        this.headerListBytesMax = value;
        return undefined;
      case ENABLE_CONNECT_PROTOCOL:
        // RFC 8441 section 3: not taken back.
        if (value > 1 || (this.connectProtocol && value === 0)) {
          return h2Error('settings-value', `ENABLE_CONNECT_PROTOCOL ${value}`);
        }
        this.connectProtocol = value === 1;
        return undefined;
      default:
        return undefined;
    }
  }
}
