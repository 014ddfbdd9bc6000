/** One line a metric, for people or as JSON. */

export interface Row {
  readonly bench: string;
  readonly subject: string;
  readonly peer: string;
  readonly metric: string;
  /** Medians; null where there is none, and `error` says why. */
  readonly subject_value: number | null;
  readonly peer_value: number | null;
  readonly ratio: number | null;
  readonly runs: number;
  /** Unless one benchmark has one load. */
  readonly load?: string;
  /** Between the sidecars; `default`: each subject's own default. */
  readonly wire?: string;
  readonly subject_range?: readonly [number, number];
  readonly peer_range?: readonly [number, number];
  readonly note?: string;
  readonly error?: string;
}

const show = (value: number | null): string => (value === null ? '-' : String(value));

function text(row: Row): string {
  const what = [row.metric, row.load, row.wire === undefined ? undefined : `wire ${row.wire}`].filter(
    (part) => part !== undefined,
  );
  const values = `${row.subject} ${show(row.subject_value)}  ${row.peer} ${show(row.peer_value)}  ratio ${show(row.ratio)}`;
  const note = row.note === undefined ? '' : `  (${row.note})`;
  const error = row.error === undefined ? '' : `\n    FAILED ${row.error.replaceAll('\n', '\n    ')}`;
  return `${row.bench}  ${what.join(', ')}: ${values}${note}${error}`;
}

export class Report {
  readonly rows: Row[] = [];
  private readonly json: boolean;

  constructor(json: boolean) {
    this.json = json;
  }

  add(row: Row): void {
    this.rows.push(row);
    console.log(this.json ? JSON.stringify(row) : text(row));
  }

  get failed(): boolean {
    return this.rows.some((row) => row.error !== undefined);
  }
}
