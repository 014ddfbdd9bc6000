/** A fault behind four decisions: chance alone would take 2^32 tries. */
export function planted(input: Buffer): void {
  if (input[0] !== 0x77) return;
  if (input[1] !== 0x65) return;
  if (input[2] !== 0x66) return;
  if (input[3] !== 0x74) return;
  throw new Error('the planted fault');
}
