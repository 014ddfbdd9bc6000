import assert from 'node:assert/strict';
import { test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { ServerFirstPorts } from './server-first.ts';

const at = (port: number) => ({ ip: '192.0.2.1', port });

test('a destination is known until it was not seen for ten minutes, or is told to be another', () => {
  const clock = new ManualClock();
  const ports = new ServerFirstPorts(clock);
  ports.add(at(25));
  clock.advance(599_000);
  assert.ok(ports.has(at(25)));
  ports.add(at(25));
  clock.advance(599_000);
  assert.ok(ports.has(at(25)));
  clock.advance(2_000);
  assert.ok(!ports.has(at(25)));
  ports.add(at(25));
  ports.forget(at(25));
  assert.ok(!ports.has(at(25)));
});

test('at most 1,024, and the one that was seen longest ago goes first', () => {
  const ports = new ServerFirstPorts(new ManualClock());
  for (let port = 1; port <= 1_024; port++) ports.add(at(port));
  ports.add(at(1));
  ports.add(at(2_000));
  assert.ok(ports.has(at(1)) && ports.has(at(2_000)) && ports.has(at(3)));
  assert.ok(!ports.has(at(2)));
});
