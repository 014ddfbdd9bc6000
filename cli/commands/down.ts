import { downMesh } from '@weft/local/up';
import { type Command, parseOptions, parseOutput } from '../command.ts';
import { ExitCode } from '../exit.ts';

export const down: Command = {
  name: 'down',
  summary: 'end a local mesh, or clear what a killed one left',
  help: `Usage: weft down [--mesh <name>] [--output text|json]

Ends the processes of a local mesh and removes its network namespaces, links and mounts; also those of one that was
killed. Its data in .weft/<name> stays, so that "weft up" finds the same objects again; remove that folder to begin anew.

      --mesh <name>   default weft`,

  async run(args) {
    const options = parseOptions(args, {
      mesh: { type: 'string', default: 'weft' },
      output: { type: 'string', short: 'o' },
    });
    const format = parseOutput(options.output);
    const cleared = await downMesh(options.mesh);
    if (format === 'json') console.log(JSON.stringify(cleared, undefined, 2));
    else {
      console.log(
        `${options.mesh}: ${cleared.processes} processes ended, ${cleared.namespaces} namespaces and ${cleared.mounts} mounts removed`,
      );
      for (const problem of cleared.problems) console.error(`weft: ${problem}`);
    }
    return cleared.problems.length > 0 ? ExitCode.failed : ExitCode.ok;
  },
};
