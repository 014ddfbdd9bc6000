import assert from 'node:assert/strict';
import { EventEmitter } from 'node:events';
import { describe, test } from 'node:test';
import { boundConnections, networkOf, SourceShares } from './shares.ts';

describe('shares of sources', () => {
  test('one address takes its share, and neither its neighbours nor the kubelet in its network are kept out', () => {
    const shares = new SourceShares({ all: 100, ofAddress: 10 });
    const taken = (address: string, times: number): number =>
      Array.from({ length: times }, () => shares.take(address)).filter(Boolean).length;
    assert.equal(taken('fd00:10:244:1::66', 50), 10);
    assert.equal(taken('fd00:10:244:1::1', 5), 5);
    assert.equal(taken('10.0.0.1', 50), 10);
    assert.equal(taken('10.0.0.2', 50), 10);
  });

  test('a machine with all addresses of its network takes the share of two, whatever it is counted in', () => {
    const shares = new SourceShares({ all: 1_000, ofAddress: 100 });
    const addresses = Array.from({ length: 50 }, (_, i) => `fd00:1:2:3::${(i + 1).toString(16)}`);
    const held = addresses.filter((address) => shares.take(address, 40));
    assert.equal(held.length, 5);
    assert.ok(shares.take('fd00:1:2:4::1', 100), 'another network');
    for (const address of held) shares.giveBack(address, 40);
    assert.equal(addresses.filter((address) => shares.take(address, 40)).length, 5, 'nothing is lost or won');
  });

  test('in all there is so much, and what was refused was not taken', () => {
    const shares = new SourceShares({ all: 15, ofAddress: 10 });
    assert.ok(shares.take('10.0.0.1', 10));
    assert.ok(!shares.take('10.0.0.2', 6));
    assert.ok(shares.take('10.0.0.2', 5));
    shares.giveBack('10.0.0.1', 10);
    assert.ok(shares.take('10.0.0.2', 5), 'its own share is whole');
  });

  test('connections give their places back when they close, although the socket has forgotten its address by then', () => {
    const server = new EventEmitter() as EventEmitter & { maxConnections: number };
    let refused = 0;
    boundConnections(server, { all: 10, ofAddress: 2 }, () => {
      refused += 1;
    });
    const open = () => {
      const socket = Object.assign(new EventEmitter(), {
        remoteAddress: 'fd00::1' as string | undefined,
        destroyed: false,
        destroy() {
          socket.destroyed = true;
        },
      });
      server.emit('connection', socket);
      return socket;
    };
    const [first, second, third] = [open(), open(), open()];
    assert.deepEqual([first.destroyed, second.destroyed, third.destroyed, refused], [false, false, true, 1]);
    first.remoteAddress = undefined;
    first.emit('close');
    assert.ok(!open().destroyed);
    assert.equal(server.maxConnections, 10);
  });

  test('a network is a /64 of IPv6, or an address of IPv4', () => {
    assert.equal(networkOf('10.0.0.1'), '10.0.0.1');
    assert.equal(networkOf('::ffff:10.0.0.1'), '10.0.0.1');
    assert.equal(networkOf('fd00:1:2:3:4:5:6:7'), 'fd00:1:2:3::/64');
    assert.equal(networkOf('fd00:1:2:3::7'), 'fd00:1:2:3::/64');
    assert.equal(networkOf('fd00::1'), 'fd00:0:0:0::/64');
    assert.equal(networkOf('fe80::1%eth0'), 'fe80:0:0:0::/64');
    assert.equal(networkOf('::1'), '0:0:0:0::/64');
    assert.equal(networkOf(''), '');
  });
});
