import { lowerName } from './field-names.ts';

const STRIDE = 3;
/** `: ` and CRLF around a field line (RFC 9112 section 5). */
const FIELD_LINE_OVERHEAD_BYTES = 4;

/**
 * Fields of a message in the order and casing in which they came. Lookups take the lower-case name.
 * One flat array of name, lower-case name and value: a head of ten fields is one allocation.
 */
export class Headers {
  private flat: string[] = [];

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
    return this.flat.length / STRIDE;
  }

  nameAt(index: number): string {
    return this.flat[index * STRIDE] ?? '';
  }

  lowerAt(index: number): string {
    return this.flat[index * STRIDE + 1] ?? '';
  }

  valueAt(index: number): string {
    return this.flat[index * STRIDE + 2] ?? '';
  }

  /** Value of the first field of that name. */
  get(lower: string): string | undefined {
    const flat = this.flat;
    for (let i = 1; i < flat.length; i += STRIDE) {
      if (flat[i] === lower) return flat[i + 1];
    }
    return undefined;
  }

  getAll(lower: string): string[] {
    const flat = this.flat;
    const values: string[] = [];
    for (let i = 1; i < flat.length; i += STRIDE) {
      if (flat[i] === lower) values.push(flat[i + 1] ?? '');
    }
    return values;
  }

  /** All values of that name as one, joined by commas (RFC 9110 section 5.3); undefined if there is none. */
  combined(lower: string): string | undefined {
    const flat = this.flat;
    let joined: string | undefined;
    for (let i = 1; i < flat.length; i += STRIDE) {
      if (flat[i] === lower) joined = joined === undefined ? flat[i + 1] : `${joined}, ${flat[i + 1]}`;
    }
    return joined;
  }

  has(lower: string): boolean {
    const flat = this.flat;
    for (let i = 1; i < flat.length; i += STRIDE) {
      if (flat[i] === lower) return true;
    }
    return false;
  }

  /** Replaces the first field of that name, in its place, and drops the others; adds one if there is none. */
  set(name: string, value: string): void {
    const lower = lowerName(name);
    const flat = this.flat;
    for (let i = 1; i < flat.length; i += STRIDE) {
      if (flat[i] !== lower) continue;
      flat[i - 1] = name;
      flat[i + 1] = value;
      this.removeFrom(i + STRIDE, lower);
      return;
    }
    flat.push(name, lower, value);
  }

  append(name: string, value: string): void {
    this.flat.push(name, lowerName(name), value);
  }

  /** For parsers that have the lower case at hand. */
  appendLowered(name: string, lower: string, value: string): void {
    this.flat.push(name, lower, value);
  }

  /** True if there was one. */
  remove(lower: string): boolean {
    return this.removeFrom(1, lower);
  }

  /** Removes every field whose lower-case name is meant. */
  removeWhere(isMeant: (lower: string) => boolean): void {
    const flat = this.flat;
    for (let i = 1; i < flat.length; ) {
      const lower = flat[i] ?? '';
      if (isMeant(lower)) this.removeFrom(i, lower);
      else i += STRIDE;
    }
  }

  forEach(visit: (name: string, value: string, lower: string) => void): void {
    const flat = this.flat;
    for (let i = 0; i < flat.length; i += STRIDE) visit(flat[i] ?? '', flat[i + 2] ?? '', flat[i + 1] ?? '');
  }

  clone(): Headers {
    const copy = new Headers();
    copy.flat = this.flat.slice();
    return copy;
  }

  /** As HTTP/1 field lines (RFC 9112 section 5). */
  get lines(): string {
    const flat = this.flat;
    let text = '';
    for (let i = 2; i < flat.length; i += STRIDE) text += `${flat[i - 2]}: ${flat[i]}\r\n`;
    return text;
  }

  /** Size as HTTP/1 field lines. */
  get bytes(): number {
    const flat = this.flat;
    let bytes = 0;
    for (let i = 0; i < flat.length; i += STRIDE) {
      bytes += (flat[i] ?? '').length + (flat[i + 2] ?? '').length + FIELD_LINE_OVERHEAD_BYTES;
    }
    return bytes;
  }

  /** Drops fields of that name from position `start` (of its lower-case name) on, closing the gaps. */
  private removeFrom(start: number, lower: string): boolean {
    const flat = this.flat;
    let to = start - 1;
    for (let i = start; i < flat.length; i += STRIDE) {
      if (flat[i] === lower) continue;
      if (to !== i - 1) {
        flat[to] = flat[i - 1] ?? '';
        flat[to + 1] = flat[i] ?? '';
        flat[to + 2] = flat[i + 1] ?? '';
      }
      to += STRIDE;
    }
    if (to >= flat.length) return false;
    flat.length = to;
    return true;
  }
}
