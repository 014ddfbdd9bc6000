import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import fc from 'fast-check';
import { lowerName } from '../../http/field-names.ts';
import { reservedNames } from './names.ts';

const name = fc.string({ unit: fc.constantFrom(...'abxyz-_'), minLength: 1, maxLength: 12 });
/** As CGI hands a field to an application (RFC 3875 section 4.1.18). */
const cgi = (field: string): string => `HTTP_${field.toUpperCase().replaceAll('-', '_')}`;
/** The same name in some other way of writing it. */
const written = (field: string, ways: readonly number[]): string =>
  [...field]
    .map((letter, i) => {
      const way = (ways[i % ways.length] ?? 0) % 2 === 0;
      if (letter === '-' || letter === '_') return way ? '-' : '_';
      return way ? letter.toUpperCase() : letter;
    })
    .join('');

describe('names that only an authorizer may set', () => {
  test('are taken off in each way of writing them, and others are not', () => {
    const ways = fc.array(fc.nat(), { minLength: 1, maxLength: 12 });
    fc.assert(
      fc.property(name, name, ways, (reserved, other, how) => {
        const isReserved = reservedNames({ names: [reserved], prefixes: [] });
        assert.equal(isReserved(lowerName(written(reserved, how))), true);
        assert.equal(isReserved(lowerName(other)), cgi(other) === cgi(reserved));
      }),
      { seed: 11 },
    );
  });

  test('nothing that begins as they do gets past a prefix', () => {
    fc.assert(
      fc.property(name, name, fc.array(fc.nat(), { minLength: 1 }), (beginning, rest, how) => {
        const isReserved = reservedNames({ names: [], prefixes: [`q${beginning}`] });
        assert.equal(isReserved(lowerName(written(`q${beginning}${rest}`, how))), true);
      }),
      { seed: 12 },
    );
  });

  test('a prefix leaves what clients send by nature, and what the sidecar has settled', () => {
    const isReserved = reservedNames({ names: [], prefixes: ['x-', 'a', 'c', 't'] });
    for (const kept of [
      'x-forwarded-for',
      'x_forwarded_proto',
      'x-forwarded-client-cert',
      'x-request-id',
      'x-b3-traceid',
      'authorization',
      'accept',
      'content-type',
      'content-length',
      'cookie',
      'cache-control',
      'connection',
      'traceparent',
      'te',
    ]) {
      assert.equal(isReserved(kept), false, kept);
    }
    for (const taken of ['x-forwarded-user', 'x-forwarded-email', 'x-user', 'x_user', 'authenticated-user', 'tenant']) {
      assert.equal(isReserved(taken), true, taken);
    }
  });
});
