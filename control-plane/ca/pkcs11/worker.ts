/** The thread that waits for the token. */
import { createHash } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { parentPort, workerData } from 'node:worker_threads';
import { errorText } from '@weft/policies/kit/error-text';
import { Pkcs11Key } from './module.ts';
import type { Pkcs11Answer, Pkcs11Request, Pkcs11Setup } from './signer.ts';

const setup: Pkcs11Setup = workerData;
let key: Pkcs11Key | undefined;
/** Of a PIN that the token does not take: tokens lock themselves after a few of them, so that it is never tried twice. */
let refusedPin: string | undefined;

function opened(): Pkcs11Key {
  // Read when it is needed: an operator may have changed it.
  const pin = readFileSync(setup.pinFile, 'utf8').trim();
  const digest = createHash('sha256').update(pin).digest('hex');
  if (digest === refusedPin)
    throw new Error(`the token has refused the PIN of ${setup.pinFile}, which is not tried again until it is another`);
  return new Pkcs11Key(setup, pin, () => {
    refusedPin = digest;
  });
}

function answer({ id, digest }: Pkcs11Request): Pkcs11Answer {
  try {
    key ??= opened();
    return { id, signature: key.sign(digest), error: undefined };
  } catch (error) {
    key?.close();
    key = undefined;
    return { id, signature: undefined, error: errorText(error) };
  }
}

parentPort?.on('message', (request: Pkcs11Request) => parentPort?.postMessage(answer(request)));
