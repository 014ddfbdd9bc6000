/** Where this folder reports what goes wrong. */
export interface Report {
  warn(message: string, fields?: Readonly<Record<string, unknown>>): void;
}

export const errorText = (error: unknown): string => (error instanceof Error ? error.message : String(error));
