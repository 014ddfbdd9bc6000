/** The applications behind the proxies, on the load's core: nginx for HTTP/1.1, nghttpd for HTTP/2 and gRPC. */
import { mkdir, mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { accepts } from '../support/nginx.ts';
import { freePort, Program } from '../support/pair-process.ts';
import { loadCore, onCore } from './cores.ts';

/** What a response weighs: Istio measures with the same. */
export const bodyBytes = 1_024;
const grpcMessageBytes = 64;
const grpcPrefixBytes = 5;

/** nghttpd knows types by the ending of a path. */
export const grpcPath = '/bench.Echo/Unary.grpc';
export const grpcResponseBytes = grpcPrefixBytes + grpcMessageBytes;

/** A message of zeros behind its prefix: not compressed, length in network order. */
export function grpcMessage(): Buffer {
  const message = Buffer.alloc(grpcResponseBytes);
  message.writeUInt32BE(grpcMessageBytes, 1);
  return message;
}

export interface Backend {
  readonly port: number;
  readonly program: Program;
}

/** HTTP/1.1, 1 KiB on every path. */
export async function startHttp1Backend(folder: string): Promise<Backend> {
  const port = await freePort();
  const work = await mkdtemp(join(folder, 'nginx-'));
  const file = join(work, 'nginx.conf');
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map(
    (path) => `${path}_temp_path ${work}/${path};`,
  );
  await writeFile(
    file,
    `daemon off; master_process off; user root; worker_processes 1; pid ${work}/nginx.pid; error_log stderr;
worker_rlimit_nofile 16384;
events { worker_connections 8192; }
http {
  access_log off; default_type text/plain; keepalive_requests 1000000000; keepalive_timeout 3600s;
  ${paths.join(' ')}
  server {
    listen 127.0.0.1:${port} backlog=4096;
    location / { return 200 "${'x'.repeat(bodyBytes)}"; }
  }
}
`,
  );
  const program = new Program('taskset', onCore(loadCore, 'nginx', ['-c', file, '-p', work, '-e', 'stderr']));
  await program.until('listening', () => accepts('127.0.0.1', port));
  return { port, program };
}

/** HTTP/2 with prior knowledge: 1 KiB at `/body`, a unary gRPC answer at `grpcPath`. */
export async function startHttp2Backend(folder: string): Promise<Backend> {
  const port = await freePort();
  const www = await mkdtemp(join(folder, 'nghttpd-'));
  await mkdir(join(www, 'bench.Echo'));
  await writeFile(join(www, 'body'), 'x'.repeat(bodyBytes));
  await writeFile(join(www, grpcPath), grpcMessage());
  const types = join(www, 'mime.types');
  await writeFile(types, 'application/grpc grpc\n');
  const flags = ['--no-tls', '-a', '127.0.0.1', '-m', '1024', '-d', www, `--mime-types-file=${types}`];
  const args = [...flags, '--trailer=grpc-status: 0', String(port)];
  const program = new Program('taskset', onCore(loadCore, 'nghttpd', args));
  await program.until('listening', () => accepts('127.0.0.1', port));
  return { port, program };
}
