/** The control plane without Kubernetes: objects and tokens from files. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@weft/policies/kit/clock';
import { err, ok, type Result } from '@weft/policies/kit/result';
import { FileJwtKeyStore, MemoryJwtKeyStore } from '../ca/jwt-key-stores.ts';
import { JwtKeys } from '../ca/jwt-keys.ts';
import { MemoryRootStore, openAuthority } from '../ca/root-store.ts';
import type { Config, StaticSource } from '../config.ts';
import { FileJoinRecords, joinFolder } from '../join/file-records.ts';
import { Joins } from '../join/joins.ts';
import { errorText, type Log } from '../log.ts';
import { MeshControl } from '../mesh.ts';
import { joinFamilies } from '../monitoring/join-families.ts';
import { monitor, type Serving, serve } from '../serve.ts';
import { FileRootStore } from './root-files.ts';
import { StaticObjects } from './source.ts';
import { StaticTokenVerifier } from './tokens.ts';

export async function runStatic(config: Config, source: StaticSource, log: Log): Promise<Result<Serving, string>> {
  const { meshNamespace, trustDomain } = config;
  const mesh = new MeshControl({
    meshNamespace,
    trustDomain,
    clock: systemClock,
    onFault: (resource, fault) => log.error('translation failed', { resource, reason: errorText(fault) }),
  });
  const objects = new StaticObjects(source.objectsFile, mesh, log);
  const loaded = await objects.load();
  if (!loaded.ok) return loaded;
  const tokens = await loadTokens(source.tokensFile);
  if (!tokens.ok) return tokens;
  const store = source.caDir === undefined ? new MemoryRootStore() : new FileRootStore(source.caDir);
  const authority = await openAuthority(store, trustDomain, systemClock);
  if (!authority.ok) return authority;
  const jwtKeys = new JwtKeys(
    source.caDir === undefined ? new MemoryJwtKeyStore() : new FileJwtKeyStore(source.caDir),
    systemClock,
  );
  jwtKeys.start((reason) => log.warn('keys for JWT-SVIDs not read', { reason }));
  const joins =
    source.caDir === undefined
      ? undefined
      : new Joins(new FileJoinRecords(join(source.caDir, joinFolder)), systemClock);
  joins?.startSweeping(
    () => true,
    (reason) => log.warn('join tokens not swept', { reason }),
  );
  const serving = await serve({
    config,
    mesh,
    authority: authority.value,
    tokens: tokens.value,
    joins,
    jwtKeys,
    log,
    monitored: await monitor({
      config,
      mesh,
      missing: () => undefined,
      moreMetrics: () => (joins === undefined ? [] : joinFamilies(joins)),
    }),
  });
  objects.watch();
  return ok({
    ...serving,
    stop: async () => {
      objects.stop();
      joins?.stop();
      jwtKeys.stop();
      await serving.stop();
    },
  });
}

async function loadTokens(file: string | undefined): Promise<Result<StaticTokenVerifier, string>> {
  if (file === undefined) return StaticTokenVerifier.parse('tokens: []', systemClock);
  try {
    const parsed = StaticTokenVerifier.parse(await readFile(file, 'utf8'), systemClock);
    return parsed.ok ? parsed : err(`${file}: ${parsed.error}`);
  } catch (error) {
    return err(`${file}: ${errorText(error)}`);
  }
}
