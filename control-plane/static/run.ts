/** The control plane without Kubernetes: objects and tokens from files. */
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { systemClock } from '@weft/policies/kit/clock';
import { errorText } from '@weft/policies/kit/error-text';
import type { Log } from '@weft/policies/kit/log';
import { systemPrng } from '@weft/policies/kit/prng';
import { err, ok, type Result } from '@weft/policies/kit/result';

import { FileJwtKeyStore, MemoryJwtKeyStore } from '../ca/jwt-key-stores.ts';
import { JwtKeys } from '../ca/jwt-keys.ts';
import { openKeeper } from '../ca/open.ts';
import { MemoryCaStore } from '../ca/store.ts';

import type { Config, StaticSource } from '../config.ts';
import { FileJoinRecords, joinFolder } from '../join/file-records.ts';
import { Joins } from '../join/joins.ts';
import { MeshControl } from '../mesh.ts';
import { caFamilies } from '../monitoring/ca-families.ts';
import { joinFamilies } from '../monitoring/join-families.ts';
import { localOperators } from '../monitoring/operators.ts';
import { monitor, type Serving, serve } from '../serve.ts';
import { TrustServices } from '../trust/services.ts';
import { FileCaStore } from './ca-files.ts';
import { FileKept, nothingKept } from './kept-file.ts';
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
  const store = source.caDir === undefined ? new MemoryCaStore() : new FileCaStore(source.caDir);
  const keeper = await openKeeper({ config, mesh, log, store, isLeader: () => true });
  if (!keeper.ok) return keeper;
  const { caDir } = source;
  const jwtKeys = new JwtKeys(caDir === undefined ? new MemoryJwtKeyStore() : new FileJwtKeyStore(caDir), systemClock);
  jwtKeys.start((reason) => log.warn('keys for JWT-SVIDs not read', { reason }));
  const joins = openJoins(source, log);
  const trust = await TrustServices.start({
    mesh,
    authority: keeper.value.authority,
    kept: caDir === undefined ? nothingKept : new FileKept(caDir),
    isLeader: () => true,
    clock: systemClock,
    prng: systemPrng,
    log,
    // Nobody reads a status here: the log has it.
    onChange: () => undefined,
  });
  objects.followRevocations((data) => trust.revocations.take(data));
  const serving = await serve({
    config,
    mesh,
    authority: keeper.value.authority,
    tokens: tokens.value,
    joins,
    jwtKeys,
    log,
    monitored: await monitor({
      config,
      mesh,
      missing: () => undefined,
      isOperator: localOperators,
      moreMetrics: () => [
        ...caFamilies(keeper.value),
        ...(joins === undefined ? [] : joinFamilies(joins)),
        ...trust.families(),
      ],
    }),
  });
  if (config.bundle !== undefined)
    await trust.serveBundle({ address: config.bundle, trustDomain, namespace: config.podNamespace, jwtKeys });
  trust.watchCertificates({
    problems: () => keeper.value.problemsNow().map((one) => `${one.reason}: ${one.message}`),
    servingPem: () => serving.certificate.current.certificatePem,
    onVerdict: () => undefined,
  });
  objects.watch();
  keeper.value.start();
  return ok({
    ...serving,
    stop: async () => {
      objects.stop();
      trust.stop();
      await keeper.value.stop();
      joins?.stop();
      jwtKeys.stop();
      await serving.stop();
    },
  });
}

/** Tokens that are used once want a place where it is written that they were. */
function openJoins({ caDir }: StaticSource, log: Log): Joins | undefined {
  if (caDir === undefined) return undefined;
  const joins = new Joins(new FileJoinRecords(join(caDir, joinFolder)), systemClock);
  joins.startSweeping(
    () => true,
    (reason) => log.warn('join tokens not swept', { reason }),
  );
  return joins;
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
