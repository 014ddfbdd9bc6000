import { startEmbeddedApi } from '@weft/local/api/server';
import { testOptions } from '@weft/local/api/testing';

const api = await startEmbeddedApi(testOptions(process.argv[2] ?? ''));
process.stdout.write(`${JSON.stringify({ port: api.port, kubeconfig: api.adminKubeconfig })}\n`);
