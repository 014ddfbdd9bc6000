/** The proxies under test: the bundled sidecar as it ships, and Envoy, from the same bootstraps. */
import { mkdtemp, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { CertificateFolder } from '../support/certs.ts';
import { ENVOY_VERSION, startEnvoy } from '../support/envoy.ts';
import { pairTexts } from '../support/pair.ts';
import { bootstrap, cluster, httpListener, type Json, route } from '../support/pair-bootstrap.ts';
import { freePort, Program } from '../support/pair-process.ts';

export interface Subject {
  readonly name: string;
  /** Where the load goes. */
  readonly port: number;
  /** Processes whose CPU time and memory count. */
  readonly programs: readonly Program[];
}

interface Text {
  readonly text: string;
  readonly adminPort: number;
}

type Start = (folder: string, text: Text) => Promise<Program>;

interface Kind {
  readonly name: string;
  readonly start: Start;
}

export const weft = (built: string): Kind => ({
  name: 'weft',
  async start(folder, { text }) {
    const file = join(await mkdtemp(join(folder, 'weft-')), 'bootstrap.json');
    await writeFile(file, text);
    const flags = ['--experimental-ffi', '--disable-warning=ExperimentalWarning', '--max-semi-space-size=16'];
    const program = new Program(process.execPath, [...flags, join(built, 'weft', 'sidecar', 'main.js'), '-c', file]);
    await program.until('serving', () => program.stderr.includes(' serving '));
    return program;
  },
});

export const envoy: Kind = {
  name: `envoy ${ENVOY_VERSION}`,
  start: (folder, { text, adminPort }) => startEnvoy(folder, text, adminPort),
};

/** A line for each request is not what is measured. */
function withoutAccessLog(text: string): string {
  return JSON.stringify(JSON.parse(text, (key, value: Json) => (key === 'access_log' ? undefined : value)));
}

export type Setup = (kind: Kind, folder: string, applicationPort: number) => Promise<Subject>;

/** One proxy, plaintext on both sides. */
export const single: Setup = async (kind, folder, applicationPort) => {
  const port = await freePort();
  const adminPort = await freePort();
  const text = bootstrap({
    id: 'single',
    adminPort,
    listeners: [
      httpListener({
        name: 'outbound',
        at: { ip: '127.0.0.1', port },
        direction: 'OUTBOUND',
        routes: [route('any', '/', 'application')],
      }),
    ],
    clusters: [cluster({ name: 'application', endpoints: [{ ip: '127.0.0.1', port: applicationPort }] })],
  });
  const program = await kind.start(folder, { text: withoutAccessLog(text), adminPort });
  return { name: kind.name, port, programs: [program] };
};

/** Client's and server's proxy with mutual TLS 1.3 between them and one authorization rule. */
export const pair: Setup = async (kind, folder, applicationPort) => {
  const authority = await CertificateFolder.make(await mkdtemp(join(folder, 'ca-')));
  const texts = await pairTexts(authority, { applicationPort });
  const server = { text: withoutAccessLog(texts.server), adminPort: texts.serverAdmin };
  const client = { text: withoutAccessLog(texts.client), adminPort: texts.clientAdmin };
  const programs = [await kind.start(folder, server), await kind.start(folder, client)];
  return { name: kind.name, port: texts.port, programs };
};
