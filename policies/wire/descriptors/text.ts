/** Reads the text of a message's fields or an enum's values from its begin to its end: most of what making them costs. */
export class Text {
  private readonly text: string;
  private at: number;

  constructor(text: string, at: number) {
    this.text = text;
    this.at = at;
  }

  get ended(): boolean {
    return this.at >= this.text.length;
  }

  /** Up to the next space, which it passes. */
  word(): string {
    const end = this.text.indexOf(' ', this.at);
    const word = end === -1 ? this.text.slice(this.at) : this.text.slice(this.at, end);
    this.at += word.length + 1;
    return word;
  }

  /** NaN at the end. */
  code(): number {
    return this.text.charCodeAt(this.at++);
  }

  /** Passes that character, if it is the next. */
  has(code: number): boolean {
    if (this.text.charCodeAt(this.at) !== code) return false;
    this.at++;
    return true;
  }

  /** Digits, up to what is none. */
  number(): number {
    let number = 0;
    for (;;) {
      const digit = this.text.charCodeAt(this.at) - 0x30;
      if (!(digit >= 0 && digit <= 9)) return number;
      number = number * 10 + digit;
      this.at++;
    }
  }
}

/** As protobuf makes names for JSON of those in a `.proto` file; `scripts/describe-wire.ts` sees to it that it does. */
export function camelCase(name: string): string {
  let at = name.indexOf('_');
  if (at === -1) return name;
  let camel = name.slice(0, at);
  while (at !== -1) {
    const next = name.indexOf('_', at + 1);
    const part = next === -1 ? name.slice(at + 1) : name.slice(at + 1, next);
    camel += part.charAt(0).toUpperCase() + part.slice(1);
    at = next;
  }
  return camel;
}
