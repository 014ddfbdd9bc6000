/** The thread that waits for the token. */
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { Pkcs11Key } from './module.ts';
import type { Pkcs11Answer, Pkcs11Request, Pkcs11Setup } from './signer.ts';

const setup: Pkcs11Setup = workerData;
let key: Pkcs11Key | undefined;

function answer({ id, digest }: Pkcs11Request): Pkcs11Answer {
  try {
    // Read when it is needed: an operator may have changed it.
    key ??= new Pkcs11Key(setup, readFileSync(setup.pinFile, 'utf8').trim());
    return { id, signature: key.sign(digest), error: undefined };
  } catch (error) {
    key?.close();
    key = undefined;
    return { id, signature: undefined, error: error instanceof Error ? error.message : String(error) };
  }
}

parentPort?.on('message', (request: Pkcs11Request) => parentPort?.postMessage(answer(request)));
