import { err, ok, type Result } from '@weft/policies/kit/result';
import type { Listener } from '@weft/policies/model/listener';
import { listen } from '../listener/listen.ts';
import { hostPort } from '../net/connection-record.ts';
import type { Recorder } from '../telemetry/record.ts';

/**
 * Whether the addresses are free. Threads share theirs (SO_REUSEPORT), and so would a second process of the same user
 * without any error: it would get half of the connections.
 */
export async function checkAddresses(
  listeners: readonly Listener[],
  recorder: Recorder,
): Promise<Result<void, string>> {
  for (const { name, addresses } of listeners) {
    for (const address of addresses) {
      if (address.port === 0) {
        return err(`listener ${name}: ${hostPort(address.ip, 0)} is another port in each thread; name one`);
      }
      const onSocket = (): void => undefined;
      const bound = await listen({ address, connectionsMax: 1, reusePort: false, recorder, onSocket });
      if (!bound.ok) return err(`listener ${name}: ${bound.error}`);
      bound.value.close();
    }
  }
  return ok(undefined);
}
