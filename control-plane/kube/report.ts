/** Where this folder reports what goes wrong. */
export interface Report {
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}
