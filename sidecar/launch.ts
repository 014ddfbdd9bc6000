/** How an image starts the sidecar: its bundle, with what V8 has compiled of it when the image was built. */
import { join } from 'node:path';
import { runAhead } from './transient.ts';

runAhead(join(import.meta.dirname, 'main.cjs'));
