import { type Command, parseOptions } from '../command.ts';
import { UsageError } from '../exit.ts';
import { revocations, revoke, unrevoke } from './ca-revoke.ts';
import { caDropAnchor, caRotate, caStatus } from './ca-rotate.ts';

export const ca: Command = {
  name: 'ca',
  summary: 'the certificate authority: its roots and their rotation, revoked identities and certificates',
  help: `Usage: weft ca status [--output text|json]
       weft ca rotate
       weft ca drop-anchor --anchor <fingerprint> [--force]
       weft ca revoke (--identity <SPIFFE ID> | --serial <hex>) [--reason <text>] [--for <duration>] [--may-reissue]
       weft ca unrevoke (--identity <SPIFFE ID> | --serial <hex>)
       weft ca revocations [--output text|json]

status       the trust anchors, their parts in a rotation, and the workloads that keep one from going.
rotate       makes a new root: it is trusted first, signs later, and the old one goes when nothing chains to it any more.
drop-anchor  no longer trusts an anchor that does not sign. Refused while certificates chain to it, with the names of the
             workloads that hold them.
  --force               all the same, because its key is in wrong hands: those workloads are cut off until they renew
revoke       the identity gets no certificate any more, and nobody believes those that it has; or one certificate alone is
             not believed. Sidecars end its open connections within seconds.
  --may-reissue         certificates that are issued from now on are believed: the workload gets a new one
  --for <duration>      how long it counts; without it an identity is revoked until it is taken back, and a
                        certificate until it must have ended
unrevoke     takes it back.
revocations  what is revoked.

  --kubeconfig <file>   the cluster; revocations are in ConfigMap weft-revocations of weft-system
  --ca-dir <folder>     of status, rotate and drop-anchor: that of a control plane without Kubernetes`,

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
      anchor: text,
      force: { type: 'boolean' },
      'ca-dir': text,
    });
    switch (verb) {
      case 'status':
        return caStatus(options);
      case 'rotate':
        return caRotate(options);
      case 'drop-anchor':
        return caDropAnchor(options);
      case 'revoke':
        return revoke(options);
      case 'unrevoke':
        return unrevoke(options);
      case 'revocations':
        return revocations(options);
      default:
        throw new UsageError(
          'weft ca takes status, rotate, drop-anchor, revoke, unrevoke or revocations; "weft ca --help" says more',
        );
    }
  },
};
