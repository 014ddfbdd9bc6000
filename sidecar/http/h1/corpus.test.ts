/** The corpus through both codecs in memory; test/conformance sends it through a process and real sockets. */
import type { Duplex } from 'node:stream';
import { describe, test } from 'node:test';
import { ManualClock } from '@weft/policies/kit/clock';
import { defaultHttpLimits } from '@weft/policies/model/listener';
import { RecordingOrigin } from '@weft/test/conformance/http1-corpus/origin';
import { requestCases } from '@weft/test/conformance/http1-corpus/requests';
import { responseCases } from '@weft/test/conformance/http1-corpus/responses';
import { runRequestCase } from '@weft/test/conformance/http1-corpus/run-request';
import { runResponseCase, ScriptedOrigin } from '@weft/test/conformance/http1-corpus/run-response';
import { connectHttp1 } from './client.ts';
import { serveHttp1 } from './server.ts';
import { duplexPair, forwardTo, TestRecorder, testConnection } from './testing.ts';

/** Both codecs in front of an application; each call is a connection of a client. */
function proxyTo(accept: (stream: Duplex) => void): () => Duplex {
  const recorder = new TestRecorder();
  const dispatch = forwardTo(() => {
    const [socket, peer] = duplexPair();
    accept(peer);
    return connectHttp1({ socket, alpn: '', peer: undefined, localIp: '127.0.0.1' }, { recorder });
  });
  return () => {
    const [client, socket] = duplexPair();
    const clock = new ManualClock();
    const options = { limits: defaultHttpLimits, dispatch, clock, recorder, direction: 'inbound' } as const;
    serveHttp1(socket, testConnection, options);
    return client;
  };
}

describe('requests of the corpus, in memory', () => {
  for (const one of requestCases) {
    if (one.needs !== 'codec') continue;
    test(`${one.rule} ${one.name}`, async () => {
      const origin = new RecordingOrigin((stream) => stream.write('HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\nok'));
      await runRequestCase(one, { origin, connect: proxyTo((stream) => origin.accept(stream)) });
    });
  }
});

describe('responses of the corpus, in memory', () => {
  for (const one of responseCases) {
    test(`${one.rule} ${one.name}`, async () => {
      const origin = new ScriptedOrigin();
      await runResponseCase(one, { connect: proxyTo((stream) => origin.accept(stream)) }, origin);
    });
  }
});
