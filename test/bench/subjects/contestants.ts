/** Weft and Envoy from one bootstrap, as they stand between load and application. */
import { mkdtemp } from 'node:fs/promises';
import { join } from 'node:path';
import { CertificateFolder } from '../../support/certs.ts';
import { CLIENT_ID, SERVER_ID } from '../../support/pair.ts';
import type { Program } from '../../support/pair-process.ts';
import {
  type Features,
  opaquePairTexts,
  type PairOptions,
  type PairTexts,
  pairTexts,
  singleTexts,
} from './bootstraps.ts';
import type { BootstrapText, Kind, StartOptions } from './kinds.ts';
import type { Contestant, PairFiles, Wire } from './subject.ts';

/** Certificates with P-256 keys for a client and a server. */
export async function issuePairFiles(folder: string): Promise<PairFiles> {
  const authority = await CertificateFolder.make(await mkdtemp(join(folder, 'ca-')));
  return {
    client: await authority.issue('pair-client', CLIENT_ID),
    server: await authority.issue('pair-server', SERVER_ID),
  };
}

export interface SingleOptions extends StartOptions {
  readonly applicationPort: number;
  readonly wire: Wire;
  readonly features: Features;
}

export const single = (kind: Kind, options: SingleOptions, key: string = kind.key): Contestant => ({
  key,
  name: kind.name,
  async start() {
    const { proxy, port } = await singleTexts(options.applicationPort, options.wire, options.features);
    return { port, programs: [await kind.start(proxy, options)], adminPorts: [proxy.adminPort] };
  },
});

/** Ends the server's side when the client's cannot be started. */
async function startBoth(
  kind: Kind,
  server: BootstrapText,
  client: BootstrapText,
  profileFolder: string | undefined,
): Promise<readonly [Program, Program]> {
  const side = (name: string): StartOptions =>
    profileFolder === undefined ? {} : { profileFolder: join(profileFolder, name) };
  const serverProgram = await kind.start(server, side('server'));
  try {
    return [await kind.start(client, side('client')), serverProgram];
  } catch (error) {
    await serverProgram.stop();
    throw error;
  }
}

export const pair = (
  kind: Kind,
  options: PairOptions & { readonly profileFolder?: string | undefined },
  key: string = kind.key,
): Contestant => ({
  key,
  name: kind.name,
  async start() {
    const texts: PairTexts = await pairTexts(options);
    const programs = await startBoth(kind, texts.server, texts.client, options.profileFolder);
    return {
      port: texts.port,
      programs,
      wirePort: texts.wirePort,
      adminPorts: [texts.client.adminPort, texts.server.adminPort],
    };
  },
});

export interface OpaqueOptions {
  readonly files: PairFiles;
  readonly sourcePort: number;
  readonly sinkPort: number;
  readonly features: Features;
}

export const opaquePair = (kind: Kind, options: OpaqueOptions): Contestant => ({
  key: kind.key,
  name: kind.name,
  async start() {
    const texts = await opaquePairTexts(options.files, options.sourcePort, options.sinkPort, options.features);
    const programs = await startBoth(kind, texts.server, texts.client, undefined);
    return { port: texts.port, secondPort: texts.sinkPort, programs };
  },
});
