/** The corpus of requests through both codecs in memory; test/conformance sends it through a process and real sockets. */
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { defaultHttpLimits } from '@weft/policies/model/listener';
import { RecordingOrigin } from '@weft/test/conformance/http1-corpus/origin';
import { requestCases } from '@weft/test/conformance/http1-corpus/requests';
import { type Rig, runRequestCase } from '@weft/test/conformance/http1-corpus/run-request';
import { connectHttp1 } from './client.ts';
import { serveHttp1 } from './server.ts';
import { duplexPair, forwardTo, TestRecorder, testConnection } from './testing.ts';

function memoryRig(): Rig {
  const origin = new RecordingOrigin((stream) => stream.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
  const recorder = new TestRecorder();
  const dispatch = forwardTo(() => {
    const [socket, peer] = duplexPair();
    origin.accept(peer);
    return connectHttp1({ socket, alpn: '', peer: undefined, localIp: '127.0.0.1' }, { recorder });
  });
  return {
    origin,
    connect() {
      const [client, socket] = duplexPair();
      serveHttp1(socket, testConnection, {
        limits: defaultHttpLimits,
        dispatch,
        clock: new ManualClock(),
        recorder,
        direction: 'inbound',
      });
      return client;
    },
  };
}

describe('requests of the corpus, in memory', () => {
  for (const one of requestCases) {
    if (one.needs === 'codec')
      test(`${one.rule} ${one.name}`, async () => void (await runRequestCase(one, memoryRig())));
  }
});
