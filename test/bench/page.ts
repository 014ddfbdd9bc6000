import type { Options } from './context.ts';
import type { Row } from './report.ts';
export function writePage(_rows: readonly Row[], _names: readonly string[], _options: Options): void {}
