/** h2spec, the conformance tests of HTTP/2 and HPACK by others, at the version of h2spec/go.sum. */
import { execFile } from 'node:child_process';
import { mkdtemp, readFile, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { goProgram } from './go-program.ts';

export interface ConformanceCase {
  /** As h2spec counts them: `http2/5.1`. */
  readonly section: string;
  readonly name: string;
  readonly outcome: 'passed' | 'failed' | 'skipped';
  /** What was expected and what happened; empty unless it failed. */
  readonly detail: string;
}

const runTimeoutMs = 300_000;
const run = promisify(execFile);

export const h2spec = (): Promise<string> =>
  goProgram('h2spec', join(dirname(fileURLToPath(import.meta.url)), 'h2spec'));

const entities: Readonly<Record<string, string>> = { lt: '<', gt: '>', amp: '&', quot: '"', '#34': '"', '#39': "'" };

const plain = (xml: string): string =>
  xml
    .replaceAll(/&(#\d+|#x[0-9A-Fa-f]+|\w+);/g, (all, name: string) => entities[name] ?? all)
    .replaceAll(/<!\[CDATA\[|\]\]>/g, '')
    .trim();

/** The cases of a report in JUnit's format as h2spec writes it. */
export function readReport(xml: string): readonly ConformanceCase[] {
  const cases: ConformanceCase[] = [];
  for (const [, attributes = '', body = ''] of xml.matchAll(/<testcase ([^>]*)>(.*?)<\/testcase>/gs)) {
    const attribute = (name: string): string => plain(new RegExp(`${name}="([^"]*)"`).exec(attributes)?.[1] ?? '');
    const failure = /<(?:failure|error)[^>]*>(.*?)<\/(?:failure|error)>/s.exec(body);
    const outcome = failure !== null ? 'failed' : body.includes('<skipped') ? 'skipped' : 'passed';
    cases.push({
      section: attribute('package'),
      name: attribute('classname'),
      outcome,
      detail: plain(failure?.[1] ?? ''),
    });
  }
  return cases;
}

/** Runs every case, strict ones included, against a server on a port of this machine. */
export async function runH2spec(port: number, secondsPerCase: number): Promise<readonly ConformanceCase[]> {
  const program = await h2spec();
  const folder = await mkdtemp(join(tmpdir(), 'weft-h2spec-'));
  try {
    const report = join(folder, 'report.xml');
    await run(program, [String(port), String(secondsPerCase), report], { timeout: runTimeoutMs });
    return readReport(await readFile(report, 'utf8'));
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}
