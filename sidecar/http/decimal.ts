/** The number that a text of at most that many decimal digits says; -1 if it is anything else. For every message: no expression. */
export function decimalOf(text: string, digitsMax: number): number {
  const { length } = text;
  if (length === 0 || length > digitsMax) return -1;
  let value = 0;
  for (let i = 0; i < length; i++) {
    const digit = text.charCodeAt(i) - 0x30;
    if (digit < 0 || digit > 9) return -1;
    value = value * 10 + digit;
  }
  return value;
}
