/** Lines held while the output is slow; beyond it they are dropped and counted. */
const PENDING_LINES_MAX = 10_000;

export interface AccessLogOutput {
  /** False when the output wants no more until `drained` is called. */
  write(text: string): boolean;
  onDrain(listener: () => void): void;
}

/** All lines of a turn of the event loop in one write. */
export class LineBuffer {
  private lines: string[] = [];
  private queued = false;
  private blocked = false;
  private readonly output: AccessLogOutput;
  private readonly count: (event: string) => void;

  constructor(output: AccessLogOutput, count: (event: string) => void) {
    this.output = output;
    this.count = count;
    output.onDrain(() => {
      this.blocked = false;
      this.flush();
    });
  }

  /** Room for one more; counts what is lost if there is none. */
  get full(): boolean {
    if (this.lines.length < PENDING_LINES_MAX) return false;
    this.count('access_log_dropped');
    return true;
  }

  /** The line brings its own end. */
  append(line: string): void {
    this.lines.push(line);
    if (this.queued || this.blocked) return;
    this.queued = true;
    setImmediate(() => this.flush());
  }

  flush(): void {
    this.queued = false;
    if (this.blocked || this.lines.length === 0) return;
    const text = this.lines.join('');
    this.lines = [];
    this.blocked = !this.output.write(text);
  }
}
