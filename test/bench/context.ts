/** What every benchmark works with. */
import type { Program } from '../support/pair-process.ts';
import { type Backend, startHttp1Backend, startHttp2Backend } from './backend.ts';
import { Loadgen } from './load/loadgen.ts';
import { buildLoadgen, installPrograms } from './load/programs.ts';
import type { Report } from './report.ts';
import { type OptionalField, pairTexts } from './subjects/bootstraps.ts';
import { issuePairFiles } from './subjects/contestants.ts';
import { envoyKind, type Kind, type WeftKind, weftKind } from './subjects/kinds.ts';
import type { PairFiles } from './subjects/subject.ts';

export interface Options {
  readonly runs: number;
  readonly seconds: number;
  /** Of closed-loop HTTP/1.1 load. */
  readonly connections: number;
  /** Everything once and short: does it work, not how fast is it. */
  readonly quick: boolean;
  /** Where CPU profiles of Weft are to be written. */
  readonly profileFolder: string | undefined;
}

export interface Context {
  readonly options: Options;
  readonly folder: string;
  /** What `npm run build` makes. */
  readonly built: string;
  readonly report: Report;
  readonly loadgen: Loadgen;
  readonly files: PairFiles;
  readonly weft: WeftKind;
  readonly envoy: Kind;
  /** Left out of both proxies' bootstraps, since Weft does not take it yet. */
  readonly without: ReadonlySet<OptionalField>;
  /** What the results have to say about that. */
  readonly note: string | undefined;
  http1(): Promise<Backend>;
  http2(): Promise<Backend>;
  /** Ends with the benchmarks. */
  keep(program: Program): void;
}

export interface Bench {
  readonly what: string;
  run(context: Context): Promise<void>;
}

/** Needs none of that. */
export interface LoneBench {
  readonly what: string;
  run(options: Options, report: Report): Promise<void>;
}

const optionalFields: readonly OptionalField[] = ['outlier_detection', 'generate_request_id', 'ecdh_curves'];

/** The fields that Weft names when it is given all of them. */
async function refusedFields(weft: WeftKind, files: PairFiles): Promise<ReadonlySet<OptionalField>> {
  const texts = await pairTexts({
    files,
    applicationPort: 1,
    wire: 'h1',
    application: 'h1',
    features: { without: new Set() },
    group: 'X25519',
  });
  const said = `${await weft.refuses(texts.client.text)}\n${await weft.refuses(texts.server.text)}`;
  const refused = new Set(optionalFields.filter((field) => said.includes(field)));
  const again = await pairTexts({
    files,
    applicationPort: 1,
    wire: 'h1',
    application: 'h1',
    features: { without: refused },
    group: 'X25519',
  });
  const rest = `${await weft.refuses(again.client.text)}${await weft.refuses(again.server.text)}`;
  if (rest !== '') throw new Error(`Weft does not take the bootstrap of the benchmarks:\n${rest}`);
  return refused;
}

export interface Running {
  readonly context: Context;
  stop(): Promise<void>;
}

export async function makeContext(
  options: Options,
  report: Report,
  { folder, built }: { readonly folder: string; readonly built: string },
): Promise<Running> {
  await installPrograms();
  const programs: Program[] = [];
  const keep = (program: Program): void => void programs.push(program);
  const backends = new Map<string, Backend>();
  const backend = async (name: string, start: (folder: string) => Promise<Backend>): Promise<Backend> => {
    const before = backends.get(name);
    if (before !== undefined) return before;
    const made = await start(folder);
    keep(made.program);
    backends.set(name, made);
    return made;
  };
  const loadgen = new Loadgen(await buildLoadgen());
  const files = await issuePairFiles(folder);
  const weft = weftKind(built, folder);
  const without = await refusedFields(weft, files);
  // Only the handshakes name a group.
  const missing = [...without].filter((field) => field !== 'ecdh_curves');
  const note = missing.length === 0 ? undefined : `without ${missing.join(', ')}: Weft does not take it yet`;
  const context: Context = {
    options,
    folder,
    built,
    report,
    loadgen,
    files,
    weft,
    envoy: envoyKind(folder),
    without,
    note,
    keep,
    http1: () => backend('http1', startHttp1Backend),
    http2: () => backend('http2', startHttp2Backend),
  };
  return {
    context,
    async stop() {
      for (const program of programs) await program.stop();
    },
  };
}
