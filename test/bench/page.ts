/** docs/benchmarks.md: the words of page.template.md around the results, which are kept in docs/benchmarks.json. */
import { execFileSync } from 'node:child_process';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { cpus, release, totalmem } from 'node:os';
import { join } from 'node:path';
import { ENVOY_VERSION } from '../support/envoy.ts';
import type { Options } from './context.ts';
import { h2loadVersion, haproxyVersion, nginxVersion, wrkVersion } from './load/programs.ts';
import type { Row } from './report.ts';
import { boundText, reaches, targetOf } from './targets.ts';

interface Measured {
  readonly date: string;
  readonly commit: string;
  readonly machine: string;
  readonly versions: string;
  readonly command: string;
  readonly rows: readonly Row[];
}

const docs = join(import.meta.dirname, '..', '..', 'docs');
const store = join(docs, 'benchmarks.json');
const page = join(docs, 'benchmarks.md');
const template = join(import.meta.dirname, 'page.template.md');

function machine(): string {
  const [first] = cpus();
  const gb = (totalmem() / 1e9).toFixed(1);
  return `${cpus().length} × ${first?.model.trim() ?? 'unknown'}, ${gb} GB, Linux ${release()}, ${process.arch}`;
}

const versions = (): string =>
  [
    `Node ${process.versions.node}`,
    `Envoy ${ENVOY_VERSION}`,
    `HAProxy ${haproxyVersion()}`,
    `nginx ${nginxVersion()}`,
    `wrk ${wrkVersion()}`,
    `nghttp2 ${h2loadVersion()}`,
  ].join(', ');

function commit(): string {
  try {
    const git = (...args: readonly string[]): string =>
      execFileSync('git', [...args], { cwd: docs, encoding: 'utf8' }).trim();
    const changed = git('status', '--porcelain', '--untracked-files=no') === '' ? '' : ' and changes';
    return git('rev-parse', '--short', 'HEAD') + changed;
  } catch {
    return 'unknown';
  }
}

const cell = (text: string): string => text.replaceAll('|', '\\|').replaceAll('\n', ' ');

const range = (value: number | null, values: readonly [number, number] | undefined): string =>
  value === null ? '-' : values === undefined ? String(value) : `${value} (${values[0]} to ${values[1]})`;

function verdict(row: Row): string {
  const target = targetOf(row);
  if (target === undefined) return '';
  const { must, aim, atLeast } = target;
  const reached = reaches(row, must, atLeast);
  if (reached === undefined) return 'no number';
  if (!reached) return '**falls short**';
  return aim !== undefined && reaches(row, aim, atLeast) === true ? 'reached, and the aim' : 'reached';
}

function line(row: Row): string {
  const target = targetOf(row);
  const load = [row.load, row.wire === undefined ? undefined : `wire ${row.wire}`].filter((part) => part !== undefined);
  const columns = [
    `\`${row.metric}\``,
    load.join(', '),
    row.subject,
    range(row.subject_value, row.subject_range),
    row.peer,
    range(row.peer_value, row.peer_range),
    row.ratio === null ? '-' : String(row.ratio),
    boundText(row, target?.must, target?.atLeast),
    boundText(row, target?.aim, target?.atLeast),
    verdict(row),
    row.error === undefined ? (row.note ?? '') : `failed: ${row.error.slice(0, 200)}`,
  ];
  return `| ${columns.map(cell).join(' | ')} |`;
}

function section(name: string, { date, commit: at, machine: on, versions: of, command, rows }: Measured): string {
  return [
    `### ${name}`,
    '',
    `\`${command}\` at ${at}, ${date}`,
    `on ${on}; ${of}; medians of ${rows[0]?.runs ?? 0} runs, smallest and largest in brackets.`,
    '',
    '| metric | load | subject | median | peer | median | ratio | must | aim | verdict | note |',
    '| --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |',
    ...rows.map(line),
    '',
  ].join('\n');
}

type Stored = Readonly<Record<string, Measured>>;

const stored = (): Stored => (existsSync(store) ? JSON.parse(readFileSync(store, 'utf8')) : {});

function render(all: Stored): void {
  const sections = Object.entries(all).map(([name, measured]) => section(name, measured));
  const results = sections.length === 0 ? 'Nothing has been measured yet.\n' : sections.join('\n');
  writeFileSync(
    page,
    readFileSync(template, 'utf8').replace('{{results}}\n', () => `${results}\n`),
  );
}

/** Puts what was measured in the place of what the same benchmarks gave before. */
export function writePage(
  rows: readonly Row[],
  names: readonly string[],
  { runs, seconds, connections }: Options,
): void {
  const what = {
    date: new Date().toISOString().slice(0, 10),
    commit: commit(),
    machine: machine(),
    versions: versions(),
  };
  const shape = `--runs ${runs} --seconds ${seconds} --connections ${connections}`;
  const fresh = names.map((name): [string, Measured] => [
    name,
    { ...what, command: `npm run bench -- ${name} ${shape}`, rows: rows.filter(({ bench }) => bench === name) },
  ]);
  const all = { ...stored(), ...Object.fromEntries(fresh) };
  writeFileSync(store, `${JSON.stringify(all, undefined, 1)}\n`);
  render(all);
}

/** The page from what is stored: for changes of its words. */
export const renderPage = (): void => render(stored());
