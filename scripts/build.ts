/**
 * Bundles what ships, since Node does not strip types under node_modules:
 *
 *   dist/weft          the npm package: the `weft` command with the local mesh, laid out as the repository
 *   dist/images/<name> the build context of each image: its programs, Node and a Dockerfile
 *
 * Another folder than dist may be named on the command line.
 */
import { execFileSync } from 'node:child_process';
import { constants, copyFileSync, cpSync, existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { basename, dirname, join, relative, resolve } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build, type Metafile, type Plugin } from 'esbuild';
import { nodeFlags, PROGRAMS, type ShippedProgram } from '../local/images/node-flags.ts';
import { readLock } from './licences.ts';
import { billOfMaterials } from './sbom.ts';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = resolve(process.argv[2] ?? join(root, 'dist'));
const weft = join(dist, 'weft');
const { version, license, description, optionalDependencies } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
) as { version: string; license: string; description: string; optionalDependencies: Record<string, string> };

/** Imported by the sidecar when there is need of them: each has its own copies of what it shares with it. */
const laterParts = [
  'sidecar/admin/pages/config-dump.ts',
  'sidecar/filters/jwt/jose.ts',
  'sidecar/telemetry/opentelemetry.ts',
  'sidecar/workload-api/answers.ts',
] as const;

/** What runs in the sidecar's image. Each is one CommonJS file, which can be compiled ahead. */
const sidecarPrograms = [
  'sidecar/launch.ts',
  'sidecar/main.ts',
  'sidecar/threads/data-thread.ts',
  'sidecar/bootstrap/read.ts',
  'sidecar/wire/codec.ts',
  ...laterParts,
] as const;

/** Programs, by their path in the repository; the path in the package is the same with .cjs or .js. */
const programs = [
  'cli/main.ts',
  ...sidecarPrograms,
  'sidecar/workload-api/main.ts',
  'control-plane/main.ts',
  'control-plane/ca/pkcs11/worker.ts',
  'injector/main.ts',
  'injector/redirect/main.ts',
  'local/agent/main.ts',
  'local/agent/launch.ts',
  'local/demo/main.ts',
] as const;
type Program = (typeof programs)[number];

const data = ['local/manifests', 'charts', 'sidecar/openssl.cnf', 'README.md', 'LICENSE'] as const;

/** The first program is the image's entry point. */
const images: Readonly<Record<ShippedProgram, readonly [Program, ...Program[]]>> = {
  sidecar: sidecarPrograms,
  'control-plane': ['control-plane/main.ts', 'control-plane/ca/pkcs11/worker.ts'],
  injector: ['injector/main.ts', 'injector/redirect/main.ts'],
};

/** Files of an image besides its programs. */
const imageData: Readonly<Record<string, readonly string[]>> = { sidecar: ['sidecar/openssl.cnf'] };

/** Packages that must not be loaded at start: memory that every pod would pay. What is imported later may hold them. */
const tooHeavy = ['zod', '@kubernetes/client-node', '@opentelemetry', '@grpc', '@bufbuild/protobuf', 'yaml', 'jose'];
const light: ReadonlySet<Program> = new Set(['sidecar/launch.ts', 'sidecar/main.ts', 'sidecar/threads/data-thread.ts']);

/** CommonJS inside an ES module bundle still calls `require` for Node's own modules. */
const banner = `import { createRequire as __createRequire } from 'node:module';
const require = __createRequire(import.meta.url);`;

/** The global is a getter, which the hot path is not to call for each buffer. */
const commonJsBanner = `'use strict';const { Buffer } = require('node:buffer');`;

const commonJs: ReadonlySet<string> = new Set(sidecarPrograms);

const compiledAhead: ReadonlySet<string> = new Set<Program>([
  'sidecar/main.ts',
  'sidecar/bootstrap/read.ts',
  'sidecar/wire/codec.ts',
]);

/** Those of them that are loaded later too, when regular expressions may have changed V8's flags. */
const loadedAgain: ReadonlySet<string> = new Set<Program>(['sidecar/wire/codec.ts']);

const bundleOf = (program: string): string => program.replace(/\.ts$/, commonJs.has(program) ? '.cjs' : '.js');

/** Another program's bundle, where it is imported when there is need of it. */
const neighbours = (program: Program): Plugin => ({
  name: 'neighbours',
  setup({ onResolve }) {
    onResolve({ filter: /^\.{1,2}\// }, ({ kind, path, resolveDir }) => {
      const imported = relative(root, resolve(resolveDir, path));
      if (kind !== 'dynamic-import' || !commonJs.has(imported)) return undefined;
      return { path: `./${relative(dirname(program), bundleOf(imported))}`, external: true };
    });
  },
});

/**
 * A module that is bundled into another folder's program still finds its neighbours: its `import.meta` says where it
 * would lie in the package. The image table names the bundles, not the sources.
 */
const places = (program: Program): Plugin => ({
  name: 'places',
  setup({ onLoad }) {
    onLoad({ filter: /\.ts$/ }, ({ path }) => {
      const source = readFileSync(path, 'utf8');
      if (path.includes('node_modules') || !source.includes('import.meta.')) return undefined;
      const place = relative(join(root, dirname(program)), bundleOf(relative(root, path)));
      const folder = commonJs.has(program) ? '__dirname' : 'import.meta.dirname';
      const joined = (to: string): string => `process.getBuiltinModule('node:path').join(${folder}, '${to}')`;
      const said: Readonly<Record<string, string>> = {
        url: `new URL('${place}', import.meta.url).href`,
        filename: joined(place),
        dirname: joined(dirname(place)),
      };
      const contents = source.replaceAll(/import\.meta\.(\w+)/g, (all, name) => said[name] ?? all);
      return { contents, loader: 'ts' };
    });
    onLoad({ filter: /\/local\/images\/images\.json$/ }, ({ path }) => ({
      contents: readFileSync(path, 'utf8').replaceAll(
        /(\{project\}\/)([^"]+\.ts)"/g,
        (_, at, file) => `${at}${bundleOf(file)}"`,
      ),
      loader: 'json',
    }));
  },
});

/** grpc-js reads `.proto` files for services of its own (channelz, ORCA) that are never asked for; what reads them is 200 kB. */
const noProtoFiles: Plugin = {
  name: 'no-proto-files',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^@grpc\/proto-loader$/ }, ({ path }) => ({ path, namespace: 'left-out' }));
    onLoad({ filter: /.*/, namespace: 'left-out' }, () => ({ contents: 'module.exports = {};', loader: 'js' }));
  },
};

/** As ES modules they load grpc-js by a `require` of their own making, which no bundler sees. */
const telemetryAsCommonJs: Plugin = {
  name: 'telemetry-as-common-js',
  setup({ onResolve, resolve }) {
    onResolve({ filter: /^@opentelemetry\// }, ({ path, kind, resolveDir }) =>
      kind === 'require-call' ? undefined : resolve(path, { kind: 'require-call', resolveDir }),
    );
  },
};

/** Modules of Node that not every process needs: OpenSSL alone, behind the first, takes 2.5 MB. */
const onFirstUse: ReadonlySet<string> = new Set([
  'node:tls',
  'node:crypto',
  'node:https',
  'node:dns',
  'node:ffi',
  'node:worker_threads',
  'node:v8',
]);

/** Reads a member when it is asked for, and the module with the first. */
const lazyModule = (names: readonly string[], load: string): string => `let found;
for (const name of ${JSON.stringify(names)})
  Object.defineProperty(exports, name, { enumerable: true, get: () => (found ??= ${load})[name] });`;

/**
 * Node's own modules as CommonJS: as ES modules every getter of theirs is read at once, and that of `node:http` for
 * WebSocket alone loads a whole HTTP client that nothing here uses.
 */
const builtins: Plugin = {
  name: 'builtins',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^node:/ }, ({ path }) => ({ path, namespace: 'builtin' }));
    onLoad({ filter: /.*/, namespace: 'builtin' }, ({ path }) => ({
      contents: onFirstUse.has(path)
        ? lazyModule(Object.keys(process.getBuiltinModule(path) ?? {}), `process.getBuiltinModule('${path}')`)
        : `module.exports = process.getBuiltinModule(${JSON.stringify(path)});`,
      loader: 'js',
    }));
  },
};

/** Packages that are run when something of theirs is first asked for. */
const packagesOnFirstUse: Readonly<Record<string, readonly string[]>> = { yaml: Object.keys(await import('yaml')) };

const laterPackages: Plugin = {
  name: 'later-packages',
  setup({ onResolve, onLoad }) {
    onResolve({ filter: /^yaml$/ }, ({ path, namespace }) =>
      namespace === 'on-first-use' ? undefined : { path, namespace: 'on-first-use' },
    );
    onLoad({ filter: /.*/, namespace: 'on-first-use' }, ({ path }) => ({
      contents: lazyModule(packagesOnFirstUse[path] ?? [], `require('${path}')`),
      loader: 'js',
      resolveDir: root,
    }));
  },
};

/**
 * The library's own descriptors of these are made when they are loaded, with all of those that describe descriptors. Of
 * what the generator makes of the same files (`policies/wire/descriptors` compares the two) that costs nothing.
 */
const wellKnownTypes: Plugin = {
  name: 'well-known-types',
  setup({ onResolve }) {
    const ours = join(root, 'policies', 'wire', 'gen', 'google', 'protobuf');
    onResolve({ filter: /\/google\/protobuf\/\w+_pb\.js$/ }, ({ path, importer }) => {
      const file = join(ours, basename(path).replace(/\.js$/, '.ts'));
      return importer.includes('/@bufbuild/protobuf/') && existsSync(file) ? { path: file } : undefined;
    });
  },
};

/** A part that is loaded later has its own copies of modules: none of them may keep what the process has once. */
function checkState(program: Program, { inputs }: Metafile): void {
  if (!laterParts.some((part) => part === program)) return;
  const ours = Object.keys(inputs).filter((file) => file.startsWith('sidecar/'));
  const found = ours.find((file) => /^(export )?let /m.test(readFileSync(join(root, file), 'utf8')));
  if (found !== undefined)
    throw new Error(`${program} would have a state of its own of ${found}; hand it over instead`);
}

function checkWeight(program: Program, { outputs }: Metafile): void {
  if (!light.has(program)) return;
  const inputs = Object.values(outputs).flatMap((output) => Object.keys(output.inputs));
  const found = inputs.find((input) => tooHeavy.some((name) => input.includes(`node_modules/${name}/`)));
  if (found !== undefined) throw new Error(`${program} loads ${found} at start; import it where it is needed`);
}

interface Bundle {
  /** Relative to the package. */
  readonly files: readonly string[];
  /** What they were made of, relative to the repository. */
  readonly sources: readonly string[];
}

async function bundle(program: Program): Promise<Bundle> {
  const { metafile } = await build({
    absWorkingDir: root,
    entryPoints: [program],
    outdir: weft,
    outbase: '.',
    bundle: true,
    ...(commonJs.has(program)
      ? {
          format: 'cjs',
          outExtension: { '.js': '.cjs' },
          supported: { 'dynamic-import': false },
          banner: { js: commonJsBanner },
        }
      : {
          format: 'esm',
          // What is imported dynamically becomes a file of its own, beside its program.
          splitting: true,
          chunkNames: `${dirname(program)}/[name]-[hash]`,
          banner: { js: banner },
        }),
    metafile: true,
    platform: 'node',
    target: 'node26',
    minifySyntax: true,
    minifyWhitespace: true,
    // A crash prints the line it is in.
    lineLimit: 200,
    legalComments: 'linked',
    plugins: [
      builtins,
      laterPackages,
      wellKnownTypes,
      noProtoFiles,
      telemetryAsCommonJs,
      neighbours(program),
      places(program),
    ],
    logLevel: 'warning',
  });
  checkWeight(program, metafile);
  checkState(program, metafile);
  return {
    files: Object.keys(metafile.outputs).map((file) => relative(weft, join(root, file))),
    sources: Object.values(metafile.outputs).flatMap(({ inputs }) => Object.keys(inputs)),
  };
}

function writeJson(path: string, content: object): void {
  writeFileSync(path, `${JSON.stringify(content, undefined, 2)}\n`);
}

/** Beside the code, as CycloneDX recommends for a file's name. */
const BOM = 'bom.cdx.json';

const lock = readLock();

function packPackage(): void {
  const sources = [...bundles.values()].flatMap((one) => one.sources);
  writeJson(join(weft, BOM), billOfMaterials({ name: 'weft', version, license }, sources, lock));
  for (const path of data) cpSync(join(root, path), join(weft, path), { recursive: true });
  rmSync(join(weft, 'charts', 'weft', 'testdata'), { recursive: true, force: true });
  writeJson(join(weft, 'package.json'), {
    name: 'weft',
    version,
    description,
    license,
    type: 'module',
    bin: { weft: 'bin/weft.js' },
    engines: { node: '>=20' },
    optionalDependencies,
  });
  mkdirSync(join(weft, 'bin'), { recursive: true });
  cpSync(join(root, 'cli', 'launcher.mjs'), join(weft, 'bin', 'weft.js'));
}

/** By the image's own Node with its flags, whose compiled code alone it will take. */
function compileAhead(name: ShippedProgram, context: string, part: Program): void {
  const flags = nodeFlags(name, { code: [], root: join(context, 'weft') });
  const free = flags.filter((flag) => flag !== '--permission' && !flag.startsWith('--allow-'));
  const script = join(root, 'scripts', 'code-cache.ts');
  for (const flagsLater of loadedAgain.has(part) ? [[], ['--linear']] : [[]]) {
    // V8 knows a text that it has compiled itself: whether the cache is taken shows in another process only.
    for (const action of [[], ['--check']]) {
      const args = [...free, script, join(context, 'weft', bundleOf(part)), ...flagsLater, ...action];
      execFileSync(join(context, 'node'), args, { cwd: root, stdio: 'inherit' });
    }
  }
}

function packImage(name: ShippedProgram, parts: readonly [Program, ...Program[]]): void {
  const context = join(dist, 'images', name);
  for (const file of parts.flatMap((part) => bundles.get(part)?.files ?? []))
    cpSync(join(weft, file), join(context, 'weft', file));
  for (const file of imageData[name] ?? []) cpSync(join(root, file), join(context, 'weft', file));
  const node = join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node');
  copyFileSync(node, join(context, 'node'), constants.COPYFILE_FICLONE);
  writeJson(join(context, 'weft', 'package.json'), { name: `weft-${name}`, version, type: 'module' });
  for (const part of parts) if (compiledAhead.has(part)) compileAhead(name, context, part);
  const sources = parts.flatMap((part) => bundles.get(part)?.sources ?? []);
  const product = { name: `weft-${name}`, version, license };
  const runtime = `node_modules/node-linux-${process.arch}`;
  writeJson(join(context, 'weft', BOM), billOfMaterials(product, sources, lock, runtime));
  const recipe = readFileSync(join(root, 'Dockerfile'), 'utf8');
  const flags = nodeFlags(name, { code: ['/weft/*'], root: '/weft' }).map((flag) => JSON.stringify(flag));
  const filled = recipe.replaceAll('@FLAGS@', flags.join(', ')).replaceAll('@PROGRAM@', bundleOf(parts[0]));
  writeFileSync(join(context, 'Dockerfile'), filled);
}

const missing = programs.filter((program) => !existsSync(join(root, program)));
if (missing.length > 0) throw new Error(`there is no ${missing.join(', ')}`);
rmSync(dist, { recursive: true, force: true });
const bundles = new Map<Program, Bundle>();
for (const program of programs) bundles.set(program, await bundle(program));
packPackage();
for (const name of PROGRAMS) packImage(name, images[name]);
console.log(`${weft} and ${join(dist, 'images')}/{${Object.keys(images).join(',')}} are built`);
