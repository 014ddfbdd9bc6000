import { dirname, join, resolve } from 'node:path';
import { nodeFlags, projectCode } from '@weft/local/images/node-flags';
import { agentOptions, socketPath } from '@weft/sidecar/workload-api/options';
import { type Command, parseOptions } from '../command.ts';
import { UsageError } from '../exit.ts';
import { becomeProgram, projectRoot } from '../program.ts';

export const identity: Command = {
  name: 'identity',
  summary: 'the SPIFFE Workload API for programs outside Kubernetes',
  help: `Usage: weft identity serve --socket <path> --control-plane <host:port> --trust <file> [options]

Joins the mesh with a token of "weft token create", keeps the certificate fresh, and serves X.509-SVIDs, JWT-SVIDs and
trust bundles to programs on this machine (SPIFFE_ENDPOINT_SOCKET=unix://<path>).

  --join-token <token>  used once; @<file> reads it from a file, and WEFT_JOIN_TOKEN is looked at without it
  --state <folder>      keeps key and certificate (0600), so that a restart needs no new token
  --trust <file>        trust anchors of the control plane, PEM (key root-cert.pem of ConfigMap weft-trust)
  --server-name <name>  what the control plane's certificate must show, where that is not its host
  --allow-uid <number>  a user whose programs may ask; may be repeated; without it only the user that runs this

SIGTERM ends it.`,

  async run(args) {
    const [verb, ...rest] = args;
    if (verb !== 'serve') throw new UsageError('weft identity takes serve; "weft identity --help" says more');
    const { socket, trust, state, 'join-token': joinToken } = parseOptions(rest, agentOptions);
    // Of the files of this machine the agent gets those that it is told of, and /proc to know who calls.
    // Outer folders first: Node forgets the right to one when it is told of it after what lies inside.
    const folders = [socket === undefined ? undefined : dirname(socketPath(socket)), state].filter(
      (each) => each !== undefined,
    );
    const all = folders
      .map((folder) => resolve(folder))
      .sort()
      .flatMap((folder) => [folder, join(folder, '*')]);
    const files = [trust, joinToken?.startsWith('@') === true ? joinToken.slice(1) : undefined];
    const flags = nodeFlags('sidecar', {
      code: projectCode(projectRoot, 'sidecar'),
      root: projectRoot,
      read: [...all, ...files.filter((file) => file !== undefined).map((file) => resolve(file)), '/proc/*'],
      write: all,
    });
    return becomeProgram('sidecar/workload-api/main', flags, rest);
  },
};
