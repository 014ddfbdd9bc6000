/**
 * A relay with nothing in it, as a reference line: `relay.ts plain|client|server LISTEN_PORT TO_PORT [cert key trust]`.
 * `client` speaks mutual TLS onwards, `server` takes it. One reused read buffer is no option with TLS, so both pipe.
 */
import { readFileSync } from 'node:fs';
import { connect as connectTcp, createServer as createTcpServer, type Socket } from 'node:net';
import { connect as connectTls, createServer as createTlsServer } from 'node:tls';

const [mode = '', listenPort = '', toPort = '', certificateFile = '', keyFile = '', trustFile = ''] =
  process.argv.slice(2);

const credentials = (): { readonly cert: Buffer; readonly key: Buffer; readonly ca: Buffer } => ({
  cert: readFileSync(certificateFile),
  key: readFileSync(keyFile),
  ca: readFileSync(trustFile),
});

const to = { host: '127.0.0.1', port: Number(toPort) };
const onward =
  mode === 'client'
    ? { ...to, ...credentials(), minVersion: 'TLSv1.3' as const, checkServerIdentity: () => undefined }
    : undefined;

function carry(client: Socket): void {
  const server = onward === undefined ? connectTcp({ ...to, noDelay: true }) : connectTls(onward);
  const end = (): void => {
    client.destroy();
    server.destroy();
  };
  client.on('error', end).on('close', end);
  server.on('error', end).on('close', end);
  server.setNoDelay(true);
  client.pipe(server).pipe(client);
}

const server =
  mode === 'server'
    ? createTlsServer(
        { ...credentials(), requestCert: true, rejectUnauthorized: true, minVersion: 'TLSv1.3', noDelay: true },
        carry,
      )
    : createTcpServer({ noDelay: true }, carry);
server.listen({ host: '127.0.0.1', port: Number(listenPort) }, () => process.stdout.write('listening\n'));
