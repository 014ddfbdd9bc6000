import assert from 'node:assert/strict';
import { describe, test } from 'node:test';
import { adviceOnExtension, adviceOnField, advisedFields } from './advice.ts';
import { decodeBootstrap } from './bootstrap-decode.ts';
import { allSupportedFields } from './supported-fields.ts';

describe('advice', () => {
  test('is about fields that are refused', () => {
    for (const key of Object.keys(advisedFields)) {
      const [name = '', field = ''] = key.split('.');
      const messages = [...allSupportedFields()].filter(([message]) => message.endsWith(`.${name}`));
      assert.notDeepEqual(messages, [], key);
      for (const [, fields] of messages) assert.equal(fields.has(field), false, key);
    }
  });

  test('follows the path and what is refused', () => {
    const refused = decodeBootstrap({ layered_runtime: { layers: [] } });
    assert.ok(!refused.ok);
    assert.match(refused.error[0]?.message ?? '', /^Bootstrap.layered_runtime is not supported by Weft: Weft has no/);
    assert.match(adviceOnExtension('type.googleapis.com/envoy.extensions.filters.http.lua.v3.Lua'), /^: Weft runs/);
    assert.equal(adviceOnField('Bootstrap', 'none'), '');
    assert.equal(adviceOnExtension('type.googleapis.com/a.b.C'), '');
  });
});
