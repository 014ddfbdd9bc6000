/** Something that takes octets of strangers. */
export interface Target {
  /** Also that of its folder in test/fuzz/corpus. */
  readonly name: string;
  /** URLs of the scripts whose code the inputs are to reach. */
  readonly scripts: RegExp;
  /** Where mutation begins. */
  readonly seeds: readonly Buffer[];
  /** Words of the language. */
  readonly words: readonly Buffer[];
  readonly bytesMax: number;
  /** Throws when something that must always hold does not. */
  run(input: Buffer): void | Promise<void>;
}
