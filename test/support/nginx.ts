import { mkdirSync, writeFileSync } from 'node:fs';
import { connect } from 'node:net';
import { join } from 'node:path';
import { Program } from './pair-process.ts';

export interface Nginx {
  readonly program: Program;
  /** What a PUT below `/upload/` was stored as. */
  uploaded(name: string): string;
}

/** Whether something accepts connections there. */
export function accepts(ip: string, port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = connect(port, ip);
    socket.once('connect', () => resolve(true));
    socket.once('error', () => resolve(false));
    socket.once('close', () => socket.destroy());
    socket.once('connect', () => socket.destroy());
  });
}

/**
 * A real nginx with its own configuration: the files of `<folder>/www` below `/`, PUT below `/upload/`, and what it saw of the
 * request below `/echo`. On `http2Port` it speaks HTTP/2 without TLS, and nothing else.
 */
export async function startNginx(folder: string, port: number, http2Port?: number): Promise<Nginx> {
  const www = join(folder, 'www');
  mkdirSync(join(www, 'upload'), { recursive: true });
  const file = join(folder, 'nginx.conf');
  const paths = ['client_body', 'proxy', 'fastcgi', 'uwsgi', 'scgi'].map((p) => `${p}_temp_path ${folder}/${p};`);
  writeFileSync(
    file,
    `daemon off; master_process off; user root; worker_processes 1; pid ${folder}/nginx.pid; error_log stderr;
events { worker_connections 1024; }
http {
  access_log off; default_type application/octet-stream; client_max_body_size 0; keepalive_requests 1000000;
  ${paths.join(' ')}
  server {
    listen 127.0.0.1:${port}; listen [::1]:${port} ipv6only=on;
    ${http2Port === undefined ? '' : `listen 127.0.0.1:${http2Port} http2;`}
    root ${www};
    location /upload/ { dav_methods PUT DELETE; create_full_put_path on; }
    location /echo { return 200 "$request_method $request_uri $http_host $http_x_mixed\\n"; }
    location /gone { return 444; }
    location /teapot { return 418 "short and stout\\n"; }
  }
}
`,
  );
  const program = new Program('nginx', ['-c', file, '-p', folder, '-e', 'stderr']);
  await program.until('listening', () => accepts('127.0.0.1', port));
  return { program, uploaded: (name) => join(www, 'upload', name) };
}

/** The http.server of Python's library, below the same folder. */
export async function startPython(folder: string, port: number): Promise<Program> {
  const program = new Program('python3', [
    '-m',
    'http.server',
    String(port),
    '--bind',
    '127.0.0.1',
    '--directory',
    join(folder, 'www'),
  ]);
  await program.until('listening', () => accepts('127.0.0.1', port));
  return program;
}
