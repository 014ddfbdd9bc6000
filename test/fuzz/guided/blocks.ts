import { type Profiler, Session } from 'node:inspector';

/**
 * Which code has run, from V8's precise coverage: by blocks, down to the branches of a condition. V8 names only blocks
 * whose count differs from that of the block around them, so what is remembered is characters of the source.
 */
export class Blocks {
  private readonly session = new Session();
  private readonly scripts: RegExp;
  /** By script and place of a function: 1 for each of its characters that has run. */
  private readonly ran = new Map<string, Uint8Array>();
  /** Results that have nothing new. */
  private readonly known = new Set<string>();

  /** Counts in scripts whose URL the expression matches. */
  constructor(scripts: RegExp) {
    this.scripts = scripts;
    this.session.connect();
    this.session.post('Profiler.enable');
    this.session.post('Profiler.startPreciseCoverage', { callCount: true, detailed: true });
  }

  /** Characters that have run. */
  get reached(): number {
    let reached = 0;
    for (const characters of this.ran.values()) for (const ran of characters) reached += ran;
    return reached;
  }

  /** Whether code has run since the last call that is not remembered; remembers it if told so. */
  take(remembers: boolean): boolean {
    let news = false;
    // The session is to the thread itself, and answers at once.
    this.session.post('Profiler.takePreciseCoverage', (error, answer) => {
      if (error !== null) throw error;
      for (const script of answer.result) {
        if (!this.scripts.test(script.url)) continue;
        for (const fn of script.functions) if (this.note(script.url, fn, remembers)) news = true;
      }
    });
    return news;
  }

  close(): void {
    this.session.disconnect();
  }

  private note(url: string, { ranges }: Profiler.FunctionCoverage, remembers: boolean): boolean {
    const whole = ranges[0];
    if (whole === undefined || whole.count === 0) return false;
    let key = url;
    for (const { startOffset, endOffset, count } of ranges) key += ` ${startOffset} ${endOffset} ${count === 0}`;
    if (this.known.has(key)) return false;
    const place = `${url} ${whole.startOffset} ${whole.endOffset}`;
    let before = this.ran.get(place);
    if (before === undefined) {
      before = new Uint8Array(whole.endOffset - whole.startOffset);
      this.ran.set(place, before);
    }
    const news = merge(before, ranges, whole.startOffset, remembers);
    if (remembers || !news) this.known.add(key);
    return news;
  }
}

function merge(
  before: Uint8Array,
  ranges: readonly Profiler.CoverageRange[],
  start: number,
  remembers: boolean,
): boolean {
  const now = new Uint8Array(before.length);
  // Inner ranges come after those around them.
  for (const { startOffset, endOffset, count } of ranges)
    now.fill(count === 0 ? 0 : 1, startOffset - start, endOffset - start);
  let news = false;
  for (let i = 0; i < now.length; i++) {
    if (now[i] === 0 || before[i] === 1) continue;
    news = true;
    if (!remembers) break;
    before[i] = 1;
  }
  return news;
}
