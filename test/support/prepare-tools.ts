/** Fetches and builds what tests need beyond npm packages and the machine's own programs, so that it is in the cache. */
import { h2spec } from './h2spec.ts';
import { goPeers } from './peers/go-peers.ts';
import { goSpiffe } from './peers/go-spiffe.ts';
import { javaSpiffe } from './peers/java-spiffe.ts';
import { pythonPackages } from './peers/python.ts';
import { findTool } from './tools.ts';
import { collector } from './trace-store.ts';
import { zlint } from './zlint.ts';

// A tool that cannot be had is said by the tests that need it, with what to install.
for (const prepare of [
  () => findTool('kubectl'),
  () => findTool('helm'),
  collector,
  h2spec,
  goPeers,
  goSpiffe,
  javaSpiffe,
  zlint,
  pythonPackages,
]) {
  await prepare().catch((error: unknown) => console.error(`# ${(error as Error).message}`));
}
