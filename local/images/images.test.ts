import assert from 'node:assert/strict';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { findImage, loadImages, lookupNames, missingImageMessage, parseImages } from './images.ts';
import { withFlags } from './node-flags.ts';

describe('image references', () => {
  test('tags, digests, registries and library/ are ignored unless listed', () => {
    const { table } = loadImages(undefined);
    for (const reference of [
      'nginx',
      'nginx:1.27',
      'docker.io/library/nginx:1.27',
      'registry.example:5000/nginx@sha256:ab',
    ]) {
      assert.equal(findImage(table, reference)?.image, 'nginx', reference);
    }
    assert.equal(findImage(table, 'ghcr.io/weft/sidecar:0.1.0')?.image, 'weft/sidecar');
    assert.equal(findImage(table, 'nginx-unprivileged'), undefined);
  });

  test('an entry with a tag wins over the one without', () => {
    const parsed = parseImages(
      {
        images: [
          { image: 'a:2', cmd: ['two'] },
          { image: 'a', cmd: ['any'] },
        ],
      },
      'x',
    );
    assert.ok(parsed.ok);
    const table = new Map(parsed.images.map((image) => [image.image, image]));
    assert.deepEqual(findImage(table, 'a:2')?.cmd, ['two']);
    assert.deepEqual(findImage(table, 'a:3')?.cmd, ['any']);
  });

  test('lookup never throws and starts with the reference itself', () => {
    fc.assert(fc.property(fc.string(), (reference) => lookupNames(reference)[0] === reference));
  });

  test('the message for an unknown image shows the line to add', () => {
    assert.match(missingImageMessage('ghcr.io/acme/api:3', '.weft/images.json'), /\{"image":"acme\/api","entrypoint"/);
  });
});

describe('image table', () => {
  test('a wrong entry is named by its path', () => {
    const cases: readonly [unknown, RegExp][] = [
      [{}, /must be \{"images"/],
      [{ images: [{ image: 'a', comand: [] }] }, /images\[0\]\.comand: unknown key/],
      [{ images: [{ image: 'a', cmd: 'x' }] }, /images\[0\]\.cmd/],
      [{ images: [{ image: 'a', root: 'rel' }] }, /images\[0\]\.root/],
    ];
    for (const [document, message] of cases) {
      const result = parseImages(document, 'x');
      assert.ok(!result.ok);
      assert.match(result.message, message);
    }
  });

  test("the flags of a program take the place of their name, in the project's folder", () => {
    const sidecar = findImage(loadImages(undefined).table, 'weft/sidecar')?.entrypoint ?? [];
    assert.equal(sidecar[0], '{node}');
    assert.equal(sidecar.at(-1), '{project}/sidecar/main.ts');
    assert.ok(sidecar.includes('--permission'));
    assert.ok(sidecar.includes('--allow-fs-read={project}/sidecar/*'));
    assert.deepEqual(withFlags('{flags:nobody}'), ['{flags:nobody}']);
  });

  test('the user file is laid over the built-in table; a broken one leaves that in force', () => {
    const directory = mkdtempSync(join(tmpdir(), 'weft-images-'));
    try {
      const file = join(directory, 'images.json');
      writeFileSync(file, JSON.stringify({ images: [{ image: 'mine', cmd: ['x'] }] }));
      assert.deepEqual(findImage(loadImages(file).table, 'mine:1')?.cmd, ['x']);
      writeFileSync(file, '{');
      const broken = loadImages(file);
      assert.match(broken.problem ?? '', /images\.json/);
      assert.ok(findImage(broken.table, 'nginx'));
    } finally {
      rmSync(directory, { recursive: true });
    }
  });
});
