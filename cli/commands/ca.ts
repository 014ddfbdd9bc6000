import { type Command, parseOptions } from '../command.ts';
import { UsageError } from '../exit.ts';
import { revocations, revoke, unrevoke } from './ca-revoke.ts';

export const ca: Command = {
  name: 'ca',
  summary: 'the certificate authority: revoke identities and certificates',
  help: `Usage: weft ca revoke (--identity <SPIFFE ID> | --serial <hex>) [--reason <text>] [--for <duration>] [--may-reissue]
       weft ca unrevoke (--identity <SPIFFE ID> | --serial <hex>)
       weft ca revocations [--output text|json]

revoke       the identity gets no certificate any more, and nobody believes those that it has; or one certificate alone is
             not believed. Sidecars end its open connections within seconds.
  --may-reissue         certificates that are issued from now on are believed: the workload gets a new one
  --for <duration>      how long it counts; without it an identity is revoked until it is taken back, and a
                        certificate until it must have ended
unrevoke     takes it back.
revocations  what is revoked.

  --kubeconfig <file>   the cluster; revocations are in ConfigMap weft-revocations of weft-system`,

  async run(args) {
    const [verb, ...rest] = args;
    const text = { type: 'string' } as const;
    const options = parseOptions(rest, {
      kubeconfig: text,
      identity: text,
      serial: text,
      reason: text,
      for: text,
      'may-reissue': { type: 'boolean' },
      output: { ...text, short: 'o' },
    });
    switch (verb) {
      case 'revoke':
        return revoke(options);
      case 'unrevoke':
        return unrevoke(options);
      case 'revocations':
        return revocations(options);
      default:
        throw new UsageError('weft ca takes revoke, unrevoke or revocations; "weft ca --help" says more');
    }
  },
};
