import { lowerName } from './field-names.ts';

/** Name, lower-case name, value and line. */
const STRIDE = 4;
/** A head of so many fields is one allocation; most have no more. */
const FIELDS_USUAL = 8;
/** `: ` and CRLF around a field line (RFC 9112 section 5). */
const FIELD_LINE_OVERHEAD_BYTES = 4;

/**
 * Fields of a message in the order and casing in which they came. Lookups take the lower-case name.
 * One flat array for all; `lowerAt` and its like take the number of a field.
 */
export class Headers {
  private flat = new Array<string>(FIELDS_USUAL * STRIDE);
  /** Of `flat`, what is in use. */
  private used = 0;

  /** From names and values in turn: `['Host', 'x', 'Accept', '*']`. */
  static from(namesAndValues: readonly string[]): Headers {
    const headers = new Headers();
    for (let i = 0; i + 1 < namesAndValues.length; i += 2) {
      headers.append(namesAndValues[i] ?? '', namesAndValues[i + 1] ?? '');
    }
    return headers;
  }

  /** Number of fields. */
  get length(): number {
    return this.used / STRIDE;
  }

  nameAt(index: number): string {
    return this.at(index, 0);
  }

  lowerAt(index: number): string {
    return this.at(index, 1);
  }

  valueAt(index: number): string {
    return this.at(index, 2);
  }

  private at(index: number, part: number): string {
    const i = index * STRIDE + part;
    return i < this.used ? (this.flat[i] ?? '') : '';
  }

  /** Value of the first field of that name. */
  get(lower: string): string | undefined {
    const { flat, used } = this;
    for (let i = 1; i < used; i += STRIDE) {
      if (flat[i] === lower) return flat[i + 1];
    }
    return undefined;
  }

  getAll(lower: string): string[] {
    const { flat, used } = this;
    const values: string[] = [];
    for (let i = 1; i < used; i += STRIDE) {
      if (flat[i] === lower) values.push(flat[i + 1] ?? '');
    }
    return values;
  }

  /** All values of that name as one, joined by commas (RFC 9110 section 5.3); undefined if there is none. */
  combined(lower: string): string | undefined {
    const { flat, used } = this;
    let joined: string | undefined;
    for (let i = 1; i < used; i += STRIDE) {
      if (flat[i] === lower) joined = joined === undefined ? flat[i + 1] : `${joined}, ${flat[i + 1]}`;
    }
    return joined;
  }

  has(lower: string): boolean {
    const { flat, used } = this;
    for (let i = 1; i < used; i += STRIDE) {
      if (flat[i] === lower) return true;
    }
    return false;
  }

  /** Replaces the first field of that name, in its place, and drops the others; adds one if there is none. */
  set(name: string, value: string): void {
    const lower = lowerName(name);
    const { flat, used } = this;
    for (let i = 1; i < used; i += STRIDE) {
      if (flat[i] !== lower) continue;
      flat[i - 1] = name;
      flat[i + 1] = value;
      flat[i + 2] = '';
      this.removeFrom(i + STRIDE, lower);
      return;
    }
    this.appendLowered(name, lower, value);
  }

  append(name: string, value: string): void {
    this.appendLowered(name, lowerName(name), value);
  }

  /** For parsers that have the lower case at hand. `line`: the field as one of HTTP/1, if that is at hand too. */
  appendLowered(name: string, lower: string, value: string, line = ''): void {
    const { flat } = this;
    let { used } = this;
    flat[used++] = name;
    flat[used++] = lower;
    flat[used++] = value;
    flat[used++] = line;
    this.used = used;
  }

  /** True if there was one. */
  remove(lower: string): boolean {
    return this.removeFrom(1, lower);
  }

  /** Removes every field whose lower-case name is meant. */
  removeWhere(isMeant: (lower: string) => boolean): void {
    const { flat } = this;
    for (let i = 1; i < this.used; ) {
      const lower = flat[i] ?? '';
      if (isMeant(lower)) this.removeFrom(i, lower);
      else i += STRIDE;
    }
  }

  forEach(visit: (name: string, value: string, lower: string) => void): void {
    const { flat } = this;
    for (let i = 0; i < this.used; i += STRIDE) visit(flat[i] ?? '', flat[i + 2] ?? '', flat[i + 1] ?? '');
  }

  clone(): Headers {
    const copy = new Headers();
    copy.flat = this.flat.slice(0, this.used);
    copy.used = this.used;
    return copy;
  }

  /** As HTTP/1 field lines (RFC 9112 section 5). */
  get lines(): string {
    const { flat, used } = this;
    let text = '';
    for (let i = 3; i < used; i += STRIDE) {
      const line = flat[i] ?? '';
      text += line === '' ? `${flat[i - 3]}: ${flat[i - 1]}\r\n` : line;
    }
    return text;
  }

  /** Size as HTTP/1 field lines. */
  get bytes(): number {
    const { flat, used } = this;
    let bytes = 0;
    for (let i = 0; i < used; i += STRIDE) {
      bytes += (flat[i] ?? '').length + (flat[i + 2] ?? '').length + FIELD_LINE_OVERHEAD_BYTES;
    }
    return bytes;
  }

  /** Drops fields of that name from position `start` (of its lower-case name) on, closing the gaps. */
  private removeFrom(start: number, lower: string): boolean {
    const { flat, used } = this;
    let to = start - 1;
    for (let i = start; i < used; i += STRIDE) {
      if (flat[i] === lower) continue;
      if (to !== i - 1) {
        flat[to] = flat[i - 1] ?? '';
        flat[to + 1] = flat[i] ?? '';
        flat[to + 2] = flat[i + 1] ?? '';
        flat[to + 3] = flat[i + 2] ?? '';
      }
      to += STRIDE;
    }
    if (to >= used) return false;
    // What was in the rest is not kept alive.
    for (let i = to; i < used; i++) flat[i] = '';
    this.used = to;
    return true;
  }
}
