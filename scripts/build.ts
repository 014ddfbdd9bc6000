/**
 * Bundles what ships, since Node does not strip types under node_modules:
 *
 *   dist/weft          the npm package: the `weft` command with the local mesh, laid out as the repository
 *   dist/images/<name> the build context of each image: one bundle and a Dockerfile
 */
import { cpSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { build } from 'esbuild';

const root = dirname(dirname(fileURLToPath(import.meta.url)));
const dist = join(root, 'dist');
const { version, license, description, optionalDependencies } = JSON.parse(
  readFileSync(join(root, 'package.json'), 'utf8'),
) as { version: string; license: string; description: string; optionalDependencies: Record<string, string> };

/** Programs, by their path in the repository; the path in the package is the same with .js. */
const programs = [
  'cli/main.ts',
  'sidecar/main.ts',
  'control-plane/main.ts',
  'injector/main.ts',
  'injector/redirect/main.ts',
  'local/agent/main.ts',
  'local/agent/launch.ts',
  'local/demo/main.ts',
] as const;

const data = ['local/manifests', 'local/images/images.json', 'charts', 'README.md', 'LICENSE'] as const;

const images: Readonly<Record<string, readonly (typeof programs)[number][]>> = {
  sidecar: ['sidecar/main.ts'],
  'control-plane': ['control-plane/main.ts'],
  injector: ['injector/main.ts', 'injector/redirect/main.ts'],
};

/** CommonJS inside an ES module bundle still calls `require` for Node's own modules. */
const banner = `import { createRequire as __createRequire } from 'node:module';
const require = __createRequire(import.meta.url);`;

rmSync(dist, { recursive: true, force: true });
const weft = join(dist, 'weft');
await build({
  absWorkingDir: root,
  entryPoints: [...programs],
  outdir: weft,
  outbase: '.',
  bundle: true,
  splitting: false,
  platform: 'node',
  target: 'node26',
  format: 'esm',
  minifySyntax: true,
  minifyWhitespace: true,
  // Error messages and stack traces keep their names.
  keepNames: true,
  legalComments: 'linked',
  banner: { js: banner },
  external: ['node:*'],
  logLevel: 'warning',
});

for (const path of data) cpSync(join(root, path), join(weft, path), { recursive: true });
writeFileSync(
  join(weft, 'package.json'),
  `${JSON.stringify(
    {
      name: 'weft',
      version,
      description,
      license,
      type: 'module',
      bin: { weft: 'bin/weft.js' },
      engines: { node: '>=20' },
      optionalDependencies,
    },
    undefined,
    2,
  )}\n`,
);
mkdirSync(join(weft, 'bin'), { recursive: true });
cpSync(join(root, 'cli', 'launcher.mjs'), join(weft, 'bin', 'weft.js'));

const base = readFileSync(join(root, 'Dockerfile'), 'utf8');
for (const [name, parts] of Object.entries(images)) {
  const context = join(dist, 'images', name);
  for (const part of parts) {
    const js = part.replace(/\.ts$/, '.js');
    cpSync(join(weft, js), join(context, js));
  }
  cpSync(join(root, 'node_modules', `node-linux-${process.arch}`, 'bin', 'node'), join(context, 'node'));
  writeFileSync(
    join(context, 'package.json'),
    `${JSON.stringify({ name: `weft-${name}`, version, type: 'module' })}\n`,
  );
  writeFileSync(join(context, 'Dockerfile'), base.replaceAll('@PROGRAM@', parts[0]?.replace(/\.ts$/, '.js') ?? ''));
}
console.log(`dist/weft and dist/images/{${Object.keys(images).join(',')}} are built`);
