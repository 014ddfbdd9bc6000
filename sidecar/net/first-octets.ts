const VIEWS = 64;

/**
 * The first octets of one memory, as views of it. Each is kept by the last bits of its length: messages of a service are
 * often as long as some before, and to make a view takes the runtime as long as we take for a short head.
 */
export class FirstOctets {
  readonly bytes: Buffer;
  private readonly views: Buffer[];

  constructor(bytes: Buffer) {
    this.bytes = bytes;
    this.views = Array.from({ length: VIEWS }, () => bytes);
  }

  of(count: number): Buffer {
    const at = count % VIEWS;
    let view = this.views[at];
    if (view === undefined || view.length !== count) {
      view = this.bytes.subarray(0, count);
      this.views[at] = view;
    }
    return view;
  }
}
