/**
 * Known vulnerabilities of what ships, as the registry knows them (`npm audit`). Ends with 0: none that is high or
 * critical; 1: there are; 3: the registry gave no answer, so that nothing is known, which is said and is no pass.
 */
import { spawnSync } from 'node:child_process';
import { dirname } from 'node:path';
import { fileURLToPath } from 'node:url';

export const EXIT = { clean: 0, vulnerable: 1, unknown: 3 } as const;

export interface AuditOutcome {
  readonly exitCode: (typeof EXIT)[keyof typeof EXIT];
  readonly lines: readonly string[];
}

interface Vulnerability {
  readonly name: string;
  readonly severity: string;
  readonly range?: string;
}

const SEVERE = ['high', 'critical'];

const unknown = (reason: string): AuditOutcome => ({
  exitCode: EXIT.unknown,
  lines: [`known vulnerabilities: NOT CHECKED, the registry gave no answer: ${reason}`],
});

/** Reads what `npm audit --json` printed. */
export function judge(output: string): AuditOutcome {
  let report: { readonly message?: string; readonly vulnerabilities?: Readonly<Record<string, Vulnerability>> };
  try {
    report = JSON.parse(output) as typeof report;
  } catch {
    return unknown('its output is no JSON');
  }
  if (report.vulnerabilities === undefined) return unknown(report.message ?? 'no report');
  const all = Object.values(report.vulnerabilities);
  const severe = all.filter(({ severity }) => SEVERE.includes(severity));
  const lines = all.map(({ name, severity, range = '' }) => `${severity}: ${name} ${range}`.trim());
  if (severe.length > 0) return { exitCode: EXIT.vulnerable, lines };
  return { exitCode: EXIT.clean, lines: [...lines, 'known vulnerabilities: none that is high or critical'] };
}

const TIMEOUT_MS = 60_000;

if (import.meta.main) {
  const cwd = dirname(dirname(fileURLToPath(import.meta.url)));
  const args = ['audit', '--omit=dev', '--json', '--fetch-retries=1', '--fetch-timeout=20000'];
  const { stdout, error } = spawnSync('npm', args, { cwd, encoding: 'utf8', timeout: TIMEOUT_MS });
  const outcome = error === undefined ? judge(stdout) : unknown(error.message);
  for (const line of outcome.lines) console.log(line);
  process.exitCode = outcome.exitCode;
}
