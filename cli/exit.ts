/** What the exit status of `weft` means; the numbers above 1 are those of sysexits(3) where one fits. */
export const ExitCode = {
  ok: 0,
  /** The command ran and what it looked for is not so, or what it did failed. */
  failed: 1,
  /** The command line is wrong. */
  usage: 64,
  /** This machine lacks something; the message says what. */
  unavailable: 69,
} as const;

/** A command line that cannot be meant. */
export class UsageError extends Error {}
