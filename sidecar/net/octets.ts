/** `toString('latin1')` of a part of a buffer, by what the runtime does it with: most of its time there is for other encodings. */
type Slice = (this: Buffer, start: number, end: number) => string;

const isSlice = (method: unknown): method is Slice => typeof method === 'function';

const found: unknown = Reflect.get(Buffer.prototype, 'latin1Slice');
const slice: Slice = isSlice(found)
  ? found
  : function (start, end) {
      return this.toString('latin1', start, end);
    };

/** Octets from `start` up to `end`, which have to be within the buffer, as a text of Latin-1. */
export const octetsAt = (bytes: Buffer, start: number, end: number): string => slice.call(bytes, start, end);
