import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { systemClock } from '@weft/policies/kit/clock';
import { type HeaderOption, noMutation } from '@weft/policies/model/route';
import { testConnection } from '../http/h1/testing.ts';
import { Headers } from '../http/headers.ts';
import { emptyRecord } from '../telemetry/record.ts';
import { RequestContext } from './context.ts';
import { HeaderFormats } from './header-formats.ts';
import { requestHead, TestDownstream } from './testing.ts';

const option = (format: string, more: Partial<HeaderOption> = {}): HeaderOption => ({
  name: 'X-A',
  format,
  action: 'add',
  keepsEmpty: false,
  ...more,
});

/** What becomes of the headers, and what was counted. */
function changed(headers: Headers, target: string, ...options: readonly HeaderOption[]) {
  const counted: string[] = [];
  const formats = new HeaderFormats({
    ports: { trustedHops: 0, filterChainName: '', environment: { NAME: 'Zürich' } },
    describe: () => emptyRecord('outbound'),
    count: (event) => counted.push(event),
    ofResponses: [],
  });
  const head = requestHead({ path: target });
  const context = new RequestContext(new TestDownstream(head, true, testConnection), systemClock);
  formats.apply(context, headers, { ...noMutation, remove: ['x-gone'], options });
  const fields: string[] = [];
  headers.forEach((name, value) => {
    fields.push(`${name}: ${value}`);
  });
  return { fields, counted };
}

describe('headers with operators', () => {
  test('what would become another header is left out, and counted', () => {
    for (const target of ['/?a=x%0d%0aX-Admin:%20yes', '/?a=%00', '/?a=%0a']) {
      const { fields, counted } = changed(new Headers(), target, option('%QUERY_PARAM(a)%', { keepsEmpty: true }));
      assert.deepEqual(fields, []);
      assert.deepEqual(counted, ['headers.value_refused']);
    }
  });

  test('text goes as octets of UTF-8, octets of a request as they are', () => {
    const octets = (text: string): string => Buffer.from(text).toString('latin1');
    assert.deepEqual(changed(new Headers(), '/?a=%C3%A9', option('%QUERY_PARAM(a)%')).fields, [`X-A: ${octets('é')}`]);
    assert.deepEqual(changed(new Headers(), '/', option('%ENVIRONMENT(NAME)%')).fields, [`X-A: ${octets('Zürich')}`]);
    assert.deepEqual(changed(new Headers(), '/\xe9', option('%PATH%')).fields, ['X-A: /\xe9']);
  });

  test('what is removed is removed first, and all values are made before any is set', () => {
    const headers = Headers.from(['X-Gone', '1', 'x-a', 'old', 'x-a', 'older']);
    const { fields } = changed(
      headers,
      '/p',
      option('%PATH%:2'),
      option('%PATH%', { action: 'addIfAbsent' }),
      option('%REQ(:METHOD)% 100%%', { action: 'set' }),
      option('x', { name: 'X-Gone', action: 'setIfPresent' }),
      option('y', { name: 'X-New', action: 'addIfAbsent' }),
    );
    assert.deepEqual(fields, ['X-A: GET 100%', 'X-A: /p:2', 'X-New: y']);
  });

  test('what nobody knows is left out, unless it is to be kept', () => {
    assert.deepEqual(changed(new Headers(), '/', option('%REQ(x-none)%')).fields, []);
    assert.deepEqual(changed(new Headers(), '/', option('%REQ(x-none)%', { keepsEmpty: true })).fields, ['X-A: ']);
    assert.deepEqual(changed(new Headers(), '/', option('<%REQ(x-none)%>')).fields, ['X-A: <>']);
  });
});
