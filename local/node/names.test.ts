import assert from 'node:assert/strict';
import { isIPv4, isIPv6 } from 'node:net';
import { describe, test } from 'node:test';
import { mountsBelow } from './leftovers.ts';
import { checkMeshName, meshNames, podAddresses, podLink, podNamespace } from './names.ts';
import { isAlive, processRef } from './processes.ts';
import { hostNameservers } from './resolver.ts';
import { chooseSlot } from './slots.ts';

const names = (slot: number) => {
  const result = meshNames('weft', slot);
  assert.ok(result.ok);
  return result.names;
};

describe('names and ranges of a mesh', () => {
  test('follow from name and slot', () => {
    const three = names(3);
    assert.equal(three.nodeNamespace, 'weft-weft-node');
    assert.deepEqual(three.podCidrs, ['10.203.0.0/17', 'fd77:ef7:3::/64']);
    assert.deepEqual(three.serviceCidrs, ['10.203.128.0/17', 'fd77:ef7:3:1::/112']);
    assert.deepEqual(three.hostIps, ['169.254.203.1', 'fd77:ef7:3:ffff::1']);
    assert.equal(three.hostLink, 'weft3');
    assert.equal(podNamespace(three, '01234567-89ab-cdef'), 'weft-weft-p-01234567');
    assert.ok(podLink('01234567-89ab-cdef').length <= 15);
  });

  test('no address of two slots is the same, and all are canonical text', () => {
    const seen = new Set<string>();
    for (let slot = 0; slot < 16; slot++) {
      const all = names(slot);
      for (const ip of [
        ...all.bridgeIps,
        ...all.hostIps,
        ...all.uplinkIps,
        ...podAddresses(all, 2),
        ...podAddresses(all, 0x7ffe),
      ]) {
        assert.ok(isIPv4(ip) || isIPv6(ip), ip);
        assert.ok(!seen.has(ip), ip);
        seen.add(ip);
        if (isIPv6(ip)) assert.equal(new URL(`http://[${ip}]/`).hostname, `[${ip}]`);
      }
    }
  });

  test('a wrong name or slot is refused with what is right', () => {
    for (const name of ['', 'A', '-a', 'a-', 'a/b', '..', 'a'.repeat(33)])
      assert.match(checkMeshName(name) ?? '', /lower-case/);
    assert.equal(meshNames('weft', 16).ok, false);
    assert.equal(meshNames('weft', 1.5).ok, false);
  });
});

describe('slots', () => {
  test('the former one if free, else the lowest free, else none', () => {
    assert.equal(chooseSlot({ taken: [], previous: undefined, linkNames: [] }), 0);
    assert.equal(chooseSlot({ taken: [0], previous: 5, linkNames: ['weft1'] }), 5);
    assert.equal(chooseSlot({ taken: [0, 5], previous: 5, linkNames: ['weft1'] }), 2);
    assert.equal(chooseSlot({ taken: [...Array(16).keys()], previous: 3, linkNames: [] }), undefined);
  });
});

describe('what a killed mesh left', () => {
  test('mounts below its folder only, deepest first, with escaped names', () => {
    const line = (path: string): string => `30 1 0:20 / ${path} rw - tmpfs tmpfs rw`;
    const info = ['/', '/run/weft/a/pods', '/run/weft/ab/pods', '/run/weft/a/pods/x\\040y'].map(line).join('\n');
    assert.deepEqual(mountsBelow('/run/weft/a', info), ['/run/weft/a/pods/x y', '/run/weft/a/pods']);
  });

  test('a process is known by number and start time', () => {
    const self = processRef(process.pid);
    assert.ok(self !== undefined && isAlive(self));
    assert.equal(isAlive({ pid: process.pid, startTime: '1' }), false);
  });
});

test('resolv.conf: only usable name servers, at most three', () => {
  const text =
    'search x\nnameserver 10.0.0.1\n# nameserver 1.1.1.1\nnameserver ::1\nnameserver bogus\nnameserver 10.0.0.2\nnameserver 10.0.0.3\n';
  assert.deepEqual(hostNameservers(text), ['10.0.0.1', '::1', '10.0.0.2']);
});
