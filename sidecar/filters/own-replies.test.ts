/** What a route changes of responses, in those that the proxy makes itself. */
import assert from 'node:assert/strict';
import { test } from 'node:test';
import { type HeaderMutation, noMutation } from '@weft/policies/model/route';
import { forwardTo, routes, testHcm, World } from './testing.ts';

const added = (name: string, value: string): HeaderMutation => ({ ...noMutation, add: [{ name, value }] });

test('a rule without a valid backend answers with the fields of the rule and of the backend', () => {
  const world = new World();
  const clusters = [{ name: '', weight: 1, requestHeaders: noMutation, responseHeaders: added('x-backend', 'b') }];
  const route = { ...forwardTo('', { clusters }), responseHeaders: added('x-rule', 'r') };
  const exchange = world.send(world.dispatch(testHcm({ kind: 'inline', config: routes('r', route) })));
  world.clock.advance(1);
  assert.equal(exchange.status, 500);
  assert.equal(exchange.response?.headers.get('x-rule'), 'r');
  assert.equal(exchange.response?.headers.get('x-backend'), 'b');
  assert.equal(world.recorder.records[0]?.flag, 'NC');
});
