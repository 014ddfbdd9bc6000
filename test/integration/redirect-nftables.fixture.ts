import { text } from 'node:stream/consumers';
import { applyRuleset, deleteTable, describeNetlinkError } from '@weft/injector/redirect/nftables';
import type { Ruleset } from '@weft/injector/redirect/ruleset';

/** Applies the ruleset on standard input in the network namespace it is started in; with `delete <table>` removes that inet table. */
const [command, table = ''] = process.argv.slice(2);
const ruleset: Ruleset | undefined = command === 'delete' ? undefined : JSON.parse(await text(process.stdin));
const done = ruleset === undefined ? deleteTable('inet', table) : applyRuleset(ruleset);
if (!done.ok) {
  process.stderr.write(`${describeNetlinkError(done.error)}\n`);
  process.exitCode = 1;
}
